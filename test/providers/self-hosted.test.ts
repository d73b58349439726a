import { describe, expect, test } from 'bun:test'
import { errorReply, jsonReply } from '../../src/testing/index.ts'
import { chat, chatPath, errorOf, listedTypes, startProvider, type MockScript } from './provider-server.ts'
import { operatorKey } from './remote-cases.ts'

const rankings = [
  { index: 1, logit: 3.5 },
  { index: 0, logit: -1 },
]
const reply: MockScript = ({ path }) => (path.includes('rank') ? jsonReply({ rankings }) : undefined)

const vllmConfig = (url: string) => ({ base_url: `${url}/v1`, max_tokens: 77 })

const rerankingConfig = (url: string) => ({
  base_url: `${url}/v1`,
  api_key: operatorKey,
  rerank_model_to_url: { 'nvidia/r': `${url}/a/reranking` },
})

describe('NVIDIA', () => {
  const body = { query: 'q', items: ['a', { type: 'text', text: 'b' }], max_num_results: 1 }

  test('reranks at the URL of the model, and lists it', async () => {
    await using stage = await startProvider('remote::nvidia', rerankingConfig, reply)
    expect(await listedTypes(stage)).toEqual({ 'p/listed': 'llm', 'p/nvidia/r': 'rerank' })
    const response = await stage.post('/v1alpha/inference/rerank', { ...body, model: 'p/nvidia/r' })
    expect(await response.json()).toEqual({ data: [{ index: 1, relevance_score: 3.5 }] })
    expect(stage.requests()[0]).toMatchObject({
      path: '/a/reranking',
      headers: { authorization: `Bearer ${operatorKey}` },
      json: { model: 'nvidia/r', query: { text: 'q' }, passages: [{ text: 'a' }, { text: 'b' }] },
    })
  })

  test('a self-hosted NIM needs no key and ranks at /ranking; its errors arrive', async () => {
    let status = 200
    await using stage = await startProvider(
      'remote::nvidia',
      (url) => ({ base_url: `${url}/v1` }),
      (request) => (status === 200 ? reply(request) : errorReply(status, { message: 'No such reranker' })),
    )
    expect((await stage.post('/v1alpha/inference/rerank', body)).status).toBe(200)
    expect(stage.requests()[0]?.path).toBe('/v1/ranking')
    expect(stage.requests()[0]?.headers).not.toHaveProperty('authorization')
    status = 404
    const response = await stage.post('/v1alpha/inference/rerank', body)
    expect([response.status, response.headers.get('x-corral-error-source')]).toEqual([404, 'provider'])
    expect((await errorOf(response)).message).toContain('No such reranker')
  })
})

describe('vLLM', () => {
  test('max_tokens where the caller said nothing', async () => {
    await using stage = await startProvider('remote::vllm', vllmConfig)
    await stage.post(chatPath, chat)
    await stage.post(chatPath, { ...chat, max_tokens: 5 })
    await stage.post(chatPath, { ...chat, max_completion_tokens: 6 })
    expect(stage.requests().map(({ json }) => [json?.max_tokens, json?.max_completion_tokens])).toEqual([
      [77, undefined],
      [5, undefined],
      [undefined, 6],
    ])
  })

  test('0 leaves it to vLLM; 4096 by default', async () => {
    await using none = await startProvider('remote::vllm', (url) => ({ base_url: url, max_tokens: 0 }))
    await none.post(chatPath, chat)
    expect(none.requests()[0]?.json).not.toHaveProperty('max_tokens')
    await using defaultUrl = await startProvider('remote::vllm', (url) => ({ base_url: url }))
    await defaultUrl.post(chatPath, chat)
    expect(defaultUrl.requests()[0]?.json).toMatchObject({ max_tokens: 4096 })
  })

  test('reranks beside /v1', async () => {
    const results = [{ index: 0, relevance_score: 0.25, document: { text: 'a' } }]
    await using stage = await startProvider('remote::vllm', vllmConfig, ({ path }) =>
      path === '/rerank' ? jsonReply({ results }) : undefined,
    )
    const response = await stage.post('/v1alpha/inference/rerank', { query: 'q', items: ['a'], max_num_results: 4 })
    expect(await response.json()).toEqual({ data: [{ index: 0, relevance_score: 0.25 }] })
    expect(stage.requests()[0]?.json).toEqual({ model: 'm', query: 'q', documents: ['a'], top_n: 4 })
  })

  test.each([
    ['remote::vllm', '/health'],
    ['remote::llama-cpp-server', '/health'],
    ['remote::tgi', '/health'],
    ['remote::ollama', '/api/ps'],
  ])('%s is well when %s says so', async (type, path) => {
    let well = true
    await using stage = await startProvider(
      type,
      (url) => ({ base_url: `${url}/v1` }),
      (request) => (request.path === path ? (well ? { body: '' } : errorReply(503, 'loading')) : undefined),
    )
    const health = async () => ((await (await stage.get('/v1/providers/p')).json()) as { health: { status: string } }).health.status
    expect(await health()).toBe('OK')
    well = false
    expect(await health()).toBe('Error')
  })
})
