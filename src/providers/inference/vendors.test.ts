import { describe, expect, test } from 'bun:test'
import { parseListing as anthropicListing } from './anthropic.ts'
import { parseListing as databricksListing } from './databricks.ts'
import { withoutV1, withPath, withV1 } from './openai-compatible-config.ts'
import { clampTokens, outputLimit } from './openai.ts'
import { parseListing as passthroughListing } from './passthrough.ts'
import { fromRanking, textsOf } from './rerank.ts'
import { parseListing as togetherListing } from './together.ts'
import { parseListing as watsonxListing } from './watsonx.ts'

describe('OpenAI’s output limits', () => {
  test.each([
    ['gpt-4o', 16_384],
    ['gpt-4o-2024-08-06', 16_384],
    ['gpt-4o-mini-2024-07-18', 16_384],
    ['gpt-4.1-nano', 32_768],
    ['gpt-4-turbo-2024-04-09', 4_096],
    ['gpt-4-0613', 8_192],
    ['o1-mini', 65_536],
    ['o1-pro', 100_000],
    ['o3-mini', 100_000],
    ['gpt-4omega', undefined],
    ['gpt-5', undefined],
    ['ft:gpt-4o', undefined],
  ])('%s: %p', (model, limit) => {
    expect(outputLimit(model)).toBe(limit)
  })

  test('only what is over is changed', () => {
    expect(clampTokens('gpt-4o', { max_tokens: 20_000, max_completion_tokens: 100 })).toEqual({ max_tokens: 16_384 })
    expect(clampTokens('gpt-4o', { max_tokens: 16_384 })).toBeUndefined()
    expect(clampTokens('gpt-4o', { max_tokens: null })).toBeUndefined()
    expect(clampTokens('unknown', { max_tokens: 9e9 })).toBeUndefined()
  })
})

test('roots', () => {
  expect(withPath('https://api.groq.com', '/openai/v1')).toBe('https://api.groq.com/openai/v1')
  expect(withPath('https://api.groq.com/', '/openai/v1')).toBe('https://api.groq.com/openai/v1')
  expect(withPath('https://api.groq.com/openai/v1/', '/openai/v1')).toBe('https://api.groq.com/openai/v1')
  expect(withPath('http://proxy/groq', '/openai/v1')).toBe('http://proxy/groq')
  expect([withV1('http://a'), withV1('http://a/v1/'), withV1('http://a/b')]).toEqual(['http://a/v1', 'http://a/v1', 'http://a/b/v1'])
  expect([withoutV1('http://a/v1/'), withoutV1('http://a/b')]).toEqual(['http://a', 'http://a/b'])
})

describe('listings', () => {
  test('Anthropic', () => {
    const model = { type: 'model', id: 'claude-x', display_name: 'Claude X', created_at: '2025-05-14T00:00:00Z' }
    expect(anthropicListing({ data: [model], has_more: false })).toEqual([
      { id: 'claude-x', type: 'llm', metadata: { display_name: 'Claude X' }, owned_by: 'anthropic', created: 1_747_180_800 },
    ])
  })

  test('Together: a bare array; what is not served is left out', () => {
    const listed = togetherListing([
      { id: 'meta-llama/X', type: 'chat', created: 5, context_length: 8192 },
      { id: 'BAAI/bge-base-en-v1.5', type: 'embedding' },
      { id: 'flux', type: 'image' },
      { id: 'some/rerank', type: 'rerank' },
    ])
    expect(listed).toEqual([
      { id: 'meta-llama/X', type: 'llm', metadata: { context_length: 8192 }, created: 5 },
      { id: 'BAAI/bge-base-en-v1.5', type: 'embedding', metadata: { embedding_dimension: 768, context_length: 512 } },
      { id: 'some/rerank', type: 'rerank', metadata: {} },
    ])
  })

  test('Databricks: serving endpoints by task', () => {
    const endpoints = [
      { name: 'databricks-gte-large-en', task: 'llm/v1/embeddings' },
      { name: 'my-llama', task: 'llm/v1/chat' },
      { name: 'my-embedder', task: 'llm/v1/embeddings' },
      { name: 'a-classifier', task: 'classification' },
    ]
    expect(databricksListing({ endpoints }).map(({ id, type, metadata }) => [id, type, metadata])).toEqual([
      ['databricks-gte-large-en', 'embedding', { embedding_dimension: 1024, context_length: 8192 }],
      ['my-llama', 'llm', {}],
      ['my-embedder', 'embedding', {}],
    ])
    expect(databricksListing({})).toEqual([])
  })

  test('watsonx: by function', () => {
    const resources = [
      { model_id: 'ibm/granite', functions: [{ id: 'text_chat' }], model_limits: { max_sequence_length: 131_072 } },
      { model_id: 'ibm/slate', functions: [{ id: 'embedding' }], model_limits: { embedding_dimension: 384, max_sequence_length: 512 } },
    ]
    expect(watsonxListing({ resources })).toEqual([
      { id: 'ibm/granite', type: 'llm', metadata: { context_length: 131_072 } },
      { id: 'ibm/slate', type: 'embedding', metadata: { embedding_dimension: 384, context_length: 512 } },
    ])
  })

  test('another Llama Stack, old, new, and OpenAI', () => {
    const data = [
      { identifier: 'old', model_type: 'embedding', metadata: { embedding_dimension: 3 }, provider_id: 'p' },
      { id: 'new', created: 7, owned_by: 'ogx', custom_metadata: { model_type: 'rerank', provider_id: 'p', context_length: 9 } },
      { id: 'plain' },
      { id: 'odd', custom_metadata: { model_type: 'video' } },
      {},
    ]
    expect(passthroughListing({ data })).toEqual([
      { id: 'old', type: 'embedding', metadata: { embedding_dimension: 3 } },
      { id: 'new', type: 'rerank', metadata: { context_length: 9 }, created: 7, owned_by: 'ogx' },
      { id: 'plain', type: 'llm', typeIsGuess: true, metadata: {} },
      { id: 'odd', type: 'llm', metadata: {} },
    ])
  })
})

describe('reranking', () => {
  test('texts and text parts are taken, images are not', () => {
    const request = { model: 'm', query: { type: 'text', text: 'q' }, items: ['a', { type: 'text', text: 'b' }] }
    expect(textsOf(request as never)).toEqual({ query: 'q', items: ['a', 'b'] })
    expect(() => textsOf({ ...request, items: ['a', { type: 'image_url', image_url: {} }] } as never)).toThrow("not 'image_url'")
  })

  test('best first, no more than requested, in both vendors’ formats', () => {
    const rankings = [
      { index: 0, logit: -3 },
      { index: 2, logit: 1.5 },
      { index: 1, logit: 0 },
    ]
    expect(fromRanking({ rankings }, 2).data).toEqual([
      { index: 2, relevance_score: 1.5 },
      { index: 1, relevance_score: 0 },
    ])
    expect(fromRanking({ results: [{ index: 0, relevance_score: 0.5 }] }, undefined).data).toEqual([{ index: 0, relevance_score: 0.5 }])
    expect(() => fromRanking({ error: 'x' }, undefined)).toThrow('not a ranking')
  })
})
