import { describe, expect, test } from 'bun:test'
import { parseInfo } from '../../src/providers/inference/text-embeddings-inference.ts'
import { embeddingsReply, errorReply, jsonReply } from '../../src/testing/index.ts'
import { errorOf, listedTypes, startProvider } from './provider-server.ts'

const rerankPath = '/v1alpha/inference/rerank'
const body = { query: 'q', items: ['a', { type: 'text', text: 'b' }, 'c'], max_num_results: 2 }
const ranked = {
  data: [
    { index: 2, relevance_score: 0.9 },
    { index: 0, relevance_score: 0.5 },
  ],
}

describe('Text Embeddings Inference', () => {
  const info = { model_id: 'BAAI/bge-reranker-large', model_type: { reranker: { id2label: { 0: 'LABEL_0' } } }, max_input_length: 512 }
  const reply = ({ path }: { path: string }) => {
    if (path === '/info') return jsonReply(info)
    const scores = [
      { index: 0, score: 0.5 },
      { index: 1, score: 0.1 },
      { index: 2, score: 0.9 },
    ]
    return path === '/rerank' ? jsonReply(scores) : undefined
  }

  test('[VEN-4] reranks in its own form, beside /v1', async () => {
    await using stage = await startProvider('remote::text-embeddings-inference', (url) => ({ base_url: url }), reply)
    expect(await listedTypes(stage)).toEqual({ 'p/BAAI/bge-reranker-large': 'rerank' })
    const response = await stage.post(rerankPath, { ...body, model: 'p/BAAI/bge-reranker-large' })
    expect(await response.json()).toEqual(ranked)
    expect(stage.requests()[0]).toMatchObject({ path: '/rerank', json: { query: 'q', texts: ['a', 'b', 'c'] } })
  })

  test('[VEN-4] embeds at /v1/embeddings, with the key of a proxy in front of it', async () => {
    await using stage = await startProvider(
      'remote::text-embeddings-inference',
      (url) => ({ base_url: `${url}/v1/`, api_key: 'key-of-the-proxy' }),
      ({ path }) => (path === '/v1/embeddings' ? embeddingsReply([[1, 2]]) : undefined),
    )
    const response = await stage.post('/v1/embeddings', { input: ['x'] })
    expect(await response.json()).toMatchObject({ data: [{ embedding: [1, 2] }], usage: { prompt_tokens: 4 } })
    expect(stage.requests()[0]).toMatchObject({ path: '/v1/embeddings', headers: { authorization: 'Bearer key-of-the-proxy' } })
  })

  test('[VEN-4] its errors arrive with their status and message', async () => {
    const refusal = { error: 'batch size 40 > maximum allowed batch size 32', error_type: 'Validation' }
    await using stage = await startProvider(
      'remote::text-embeddings-inference',
      (url) => ({ base_url: url }),
      ({ path }) => (path === '/rerank' ? errorReply(422, refusal) : undefined),
    )
    const response = await stage.post(rerankPath, body)
    expect([response.status, response.headers.get('x-corral-error-source')]).toEqual([422, 'provider'])
    expect((await errorOf(response)).message).toContain('maximum allowed batch size 32')
  })

  test.each([
    [{ embedding: { pooling: 'cls' } }, 'embedding'],
    [{ reranker: {} }, 'rerank'],
    ['embedding', 'embedding'],
    ['reranker', 'rerank'],
  ])('[VEN-4] a model of type %p is listed as %s', (kind, type) => {
    expect(parseInfo({ model_id: 'm', model_type: kind, max_input_length: 512 })).toEqual([
      { id: 'm', type: type as 'embedding', metadata: { context_length: 512 } },
    ])
  })

  test('[VEN-4] classifiers and unknown kinds are not listed; what is no description is an error', () => {
    for (const kind of [{ classifier: {} }, 'classifier', null, undefined])
      expect(parseInfo({ model_id: 'm', model_type: kind })).toEqual([])
    for (const odd of [null, [], 'x', {}, { model_id: '' }, { model_id: 7 }]) expect(() => parseInfo(odd)).toThrow()
  })
})

describe('a llama.cpp server', () => {
  const results = [
    { index: 0, relevance_score: 0.5 },
    { index: 2, relevance_score: 0.9 },
  ]

  test.each(['', '/v1', '/v1/'])('[VEN-5] reranks at /rerank below its root, configured as …%s', async (path) => {
    const reply = { model: 'm', object: 'list', usage: { prompt_tokens: 20, total_tokens: 20 }, results }
    await using stage = await startProvider(
      'remote::llama-cpp-server',
      (url) => ({ base_url: url + path }),
      (request) => (request.path === '/v1/rerank' ? jsonReply(reply) : undefined),
    )
    const response = await stage.post(rerankPath, body)
    expect(await response.json()).toEqual(ranked)
    expect(stage.requests()[0]?.json).toEqual({ model: 'm', query: 'q', documents: ['a', 'b', 'c'], top_n: 2 })
  })

  test('[VEN-5] a server without --reranking returns its own error', async () => {
    const refusal = { error: { code: 501, message: 'This server does not support reranking.', type: 'not_supported_error' } }
    await using stage = await startProvider(
      'remote::llama-cpp-server',
      (url) => ({ base_url: url }),
      ({ path }) => (path === '/v1/rerank' ? errorReply(501, refusal) : undefined),
    )
    const response = await stage.post(rerankPath, body)
    expect([response.status, (await errorOf(response)).message]).toEqual([501, 'This server does not support reranking.'])
  })
})
