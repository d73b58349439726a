import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { toDocumentsResponse, toRerankRequest } from '../../src/api/rerank/documents.ts'
import { providerDefinitions } from '../../src/providers/index.ts'
import {
  errorReply,
  jsonReply,
  mockUpstream,
  modelsReply,
  type MockUpstream,
  providerEntry,
  testApp,
  type TestApp,
  testConfig,
} from '../../src/testing/index.ts'
import { patient } from '../providers/remote-cases.ts'

const results = [
  { index: 0, relevance_score: 0.1 },
  { index: 2, relevance_score: 0.9 },
  { index: 1, relevance_score: 0.5 },
]
const documents = ['a', { text: 'b', source: 'x' }, 'c']

let upstream: MockUpstream
let app: TestApp
let reply: object

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(({ method, path }) => {
    if (method === 'GET') return modelsReply(['m', 'chat-only', 'embedder'])
    return path === '/rerank' ? jsonReply(reply) : errorReply(503, 'Not loaded')
  })
  reply = { results }
  const providers = ['remote::vllm', 'remote::ollama'].map((type) => {
    const definition = providerDefinitions.find((one) => one.type === type)!
    return providerEntry(definition, type.slice(8), { base_url: `${upstream.url}/v1` })
  })
  app = await testApp(testConfig({ providers }), patient)
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

interface RerankResult {
  id: string
  model: string
  results: { index: number; relevance_score: number; document?: object }[]
  usage?: object
  meta?: object
  error: { message: string; type: string; code: string | null; param: string | null }
}

async function ask(fields: object, path = '/v1/rerank'): Promise<{ status: number; json: RerankResult }> {
  const body = JSON.stringify({ model: 'vllm/m', query: 'q', documents, ...fields })
  const response = await app.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return { status: response.status, json: (await response.json()) as RerankResult }
}

const sent = (): unknown => upstream.requests.findLast(({ method }) => method === 'POST')?.json

describe('a request in the form of Cohere and Jina', () => {
  test.each(['/v1/rerank', '/v2/rerank', '/rerank'])('[VEN-10] at %s', async (path) => {
    reply = { results }
    const { status, json } = await ask({ top_n: 2 }, path)
    expect([status, json]).toEqual([
      200,
      {
        id: expect.stringMatching(/^rerank-/),
        model: 'vllm/m',
        results: [
          { index: 2, relevance_score: 0.9 },
          { index: 1, relevance_score: 0.5 },
        ],
      },
    ] as never)
    expect(sent()).toEqual({ model: 'm', query: 'q', documents: ['a', 'b', 'c'], top_n: 2 })
  })

  test('[VEN-10] documents on request: texts as {text}, objects as they were sent', async () => {
    reply = { results }
    const { json } = await ask({ return_documents: true, top_n: null, rank_fields: null })
    expect(json.results.map(({ document }) => document)).toEqual([{ text: 'c' }, { text: 'b', source: 'x' }, { text: 'a' }])
    expect(sent()).toEqual({ model: 'm', query: 'q', documents: ['a', 'b', 'c'] })
  })

  test('[VEN-10] rank_fields: a line for each field that an object has', async () => {
    reply = { results: results.slice(0, 1) }
    const person = { name: 'Ada', born: 1815, tags: ['x'], left: null, text: 'not this' }
    await ask({ documents: ['plain', person], rank_fields: ['name', 'born', 'tags', 'left', 'absent', 'toString'] })
    expect(sent()).toMatchObject({ documents: ['plain', 'name: Ada\nborn: 1815\ntags: ["x"]'] })
    await ask({ documents: ['plain', person], rank_fields: ['name'] })
    expect(sent()).toMatchObject({ documents: ['plain', 'Ada'] })
  })

  test('[VEN-10] usage in both forms, where the provider reports it', async () => {
    const both = { usage: { prompt_tokens: 12, total_tokens: 12 }, meta: { tokens: { input_tokens: 12, output_tokens: 0 } } }
    for (const usage of [{ usage: { total_tokens: 12 } }, { usage: { prompt_tokens: 12, total_tokens: 12 } }, { meta: both.meta }]) {
      reply = { results, ...usage }
      expect((await ask({})).json).toMatchObject(both)
    }
    reply = { results, meta: { billed_units: { search_units: 1 } } }
    expect(Object.keys((await ask({})).json).toSorted()).toEqual(['id', 'model', 'results'])
  })

  test('[VEN-10] any documents: positions, order and number hold', () => {
    const document = fc.oneof(fc.string(), fc.record({ text: fc.string() }, { requiredKeys: ['text'] }))
    const scored = fc.array(fc.tuple(document, fc.double({ noNaN: true })), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(scored, fc.boolean(), (pairs, return_documents) => {
        const request = { model: 'm', query: 'q', documents: pairs.map(([one]) => one), return_documents }
        const { items } = toRerankRequest(request)
        const texts = request.documents.map((one) => (typeof one === 'string' ? one : one.text))
        expect(items).toEqual(texts)
        const data = pairs.map(([, relevance_score], index) => ({ index, relevance_score }))
        const response = toDocumentsResponse({ data }, request)
        expect(response.results.map(({ index, relevance_score }) => ({ index, relevance_score }))).toEqual(data)
        for (const { index, document: shown } of response.results) {
          expect(shown?.['text']).toBe(return_documents ? texts[index] : undefined)
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('what is refused, and what fails', () => {
  test.each([
    [{ documents: [] }, 'documents'],
    [{ documents: 'a' }, 'documents'],
    [{ documents: ['a', 7] }, 'documents[1]'],
    [{ documents: ['a', { title: 'b' }] }, 'documents[1]'],
    [{ documents: [{ text: 7 }] }, 'documents[0]'],
    [{ documents: [{ image: 'https://example.com/x.png' }] }, 'documents[0]'],
    [{ documents: [{ a: null }], rank_fields: ['a'] }, 'documents[0]'],
    [{ rank_fields: ['ok', 7] }, 'rank_fields[1]'],
    [{ top_n: 0 }, 'top_n'],
    [{ top_n: 1.5 }, 'top_n'],
    [{ top_n: '2' }, 'top_n'],
    [{ return_documents: 'yes' }, 'return_documents'],
    [{ query: undefined }, 'query'],
    [{ query: { text: 'q' } }, 'query'],
    [{ model: undefined }, 'model'],
  ])('[VEN-11] %j: 400 that names %s', async (fields, param) => {
    const before = upstream.requests.length
    const { status, json } = await ask(fields)
    expect([status, json.error.type, json.error.param]).toEqual([400, 'invalid_request_error', param])
    expect(upstream.requests.length).toBe(before)
  })

  test('[VEN-11] an unknown model, one of another type, and a provider that does not rerank', async () => {
    expect(await ask({ model: 'nowhere/m' })).toMatchObject({ status: 404, json: { error: { code: 'model_not_found' } } })
    expect(await ask({ model: 'vllm/embedder' })).toMatchObject({ status: 400, json: { error: { type: 'invalid_request_error' } } })
    const { status, json } = await ask({ model: 'ollama/chat-only' })
    expect([status, json.error.message]).toEqual([400, expect.stringContaining('rerank')] as never)
  })

  test.each([
    ['no ranking', { data: [] }],
    ['a position that was not sent', { results: [{ index: 3, relevance_score: 1 }] }],
    ['a negative position', { results: [{ index: -1, relevance_score: 1 }] }],
    ['a score that is no number', { results: [{ index: 0, relevance_score: '1' }] }],
  ])('[VEN-11] %s is a 502', async (_, odd) => {
    reply = odd
    expect(await ask({})).toMatchObject({ status: 502, json: { error: { type: 'upstream_error' } } })
  })
})

test('[HST-7] a field that is ranked by counts once, and the number of fields is limited', async () => {
  const request = { model: 'm', query: 'q', documents: [{ text: 'a', title: 'b' }] }
  expect(toRerankRequest({ ...request, rank_fields: ['text', 'title', 'text'] }).items).toEqual(['text: a\ntitle: b'])
  expect(toRerankRequest({ ...request, rank_fields: ['text', 'text'] }).items).toEqual(['a'])
  expect(await ask({ rank_fields: Array.from({ length: 65 }, (_, at) => `f${at}`) })).toMatchObject({
    status: 400,
    json: { error: { param: 'rank_fields' } },
  })
})

test('[HST-7] a ranking that names a document twice is a 502', async () => {
  reply = { results: [results[0], results[0]] }
  expect(await ask({ return_documents: true })).toMatchObject({ status: 502, json: { error: { code: 'upstream_invalid_response' } } })
  reply = { results }
})
