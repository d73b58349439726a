import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { AccessRule } from '../../src/access/schema.ts'
import { inferenceDefinitions } from '../providers/inference-definitions.ts'
import { providerEntry, type MockUpstream } from '../../src/testing/index.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { governed } from '../quota/quota-server.ts'
import { modelServer, upstreamOfModels, type ModelServer } from './model-server.ts'

let upstream: MockUpstream
let server: ModelServer

const rules: AccessRule[] = [
  { forbid: { actions: 'read', resource: 'regex:model::[a-z]*/secret' } },
  { permit: { actions: ['create', 'read', 'update', 'delete'] } },
]
const entry = (id: string, base_url = `${upstream.url}/v1`) => {
  const definition = inferenceDefinitions.find(({ type }) => type === `remote::${id}`)
  if (!definition) throw new Error(`no ${id}`)
  return { ...providerEntry(definition, id, { base_url, api_key: `${id}-key` }), definition }
}
/** By which fields a provider of this type takes other models, with its root there. */
function fallbackModelsAt(id: string, root: string) {
  const { definition, config } = entry(id, root)
  return definition.create(config, { id, egress: undefined as never, log: silentLog }).fallbackModels
}

beforeAll(async () => {
  upstream = await upstreamOfModels()
  server = await modelServer(upstream, { rules, parts: { providers: ['openrouter', 'groq', 'lmstudio', 'openai'].map((id) => entry(id)) } })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const messages = [{ role: 'user', content: 'Hi' }]

async function chat(who: string, model: string, fields: object) {
  const before = upstream.requests.length
  const { status, json } = await server.ask(who, '/v1/chat/completions', { body: { model, messages, ...fields } })
  const sent = upstream.requests.slice(before).filter(({ method }) => method === 'POST')
  return { status, param: json.error?.param, code: json.error?.code, sent: sent.map((request) => request.json as Record<string, unknown>) }
}

describe('models that a request names beside its model', () => {
  test.each([
    ['openrouter', { models: ['gpt', 'secret/model'] }, 'models'],
    ['openrouter', { models: ['gpt', '/secret/model'] }, 'models'],
    ['openai', { models: 'secret/model' }, 'models'],
    ['openai', { fallbacks: ['secret/model'] }, 'fallbacks'],
    ['lmstudio', { draft_model: 'secret-1' }, 'draft_model'],
  ])('must each be the caller’s to use: %s %j is 404', async (provider, fields, param) => {
    expect(await chat('alice', `${provider}/gpt`, fields)).toEqual({ status: 404, param, code: 'model_not_found', sent: [] })
    expect(server.lastDenial()).toMatchObject({ by: 'access_policy' })
  })

  test('[BND-2] are at most 100 in one field', async () => {
    const ids = Array.from({ length: 100 }, () => 'gpt')
    expect(await chat('alice', 'openrouter/gpt', { models: ids })).toMatchObject({ status: 200 })
    expect(await chat('alice', 'openrouter/gpt', { models: [...ids, 'gpt'] })).toEqual({
      status: 400,
      param: 'models',
      code: 'array_above_max_length',
      sent: [],
    })
  })

  test('a key’s models count as well', async () => {
    expect(await chat('keyed', 'groq/llama', { models: ['other'] })).toMatchObject({ status: 200, sent: [{ models: ['other'] }] })
    expect(await chat('keyed', 'openai/gpt', {})).toMatchObject({ status: 404 })
  })

  test('those that may be used travel on as they stand', async () => {
    const response = await chat('alice', 'openrouter/gpt', { models: ['gpt', 'other/model'], provider: { order: ['x'] } })
    expect(response).toMatchObject({ status: 200, sent: [{ model: 'gpt', models: ['gpt', 'other/model'], provider: { order: ['x'] } }] })
    expect(await chat('alice', 'openrouter/gpt', { models: null, route: null, plugins: null })).toMatchObject({ status: 200 })
    const tools = [{ type: 'function', function: { name: 'f' } }, { type: 'openrouter:web_search' }]
    const searching = { plugins: [{ id: 'web', max_results: 3 }, { id: 'file-parser' }], tools }
    expect(await chat('alice', 'openrouter/gpt', searching)).toMatchObject({ status: 200, sent: [{ model: 'gpt', ...searching }] })
    expect(await chat('alice', 'openai/gpt', { plugins: [{ id: 'fusion' }] })).toMatchObject({ status: 200 })
  })

  test.each([
    ['openrouter', { route: 'fallback' }, 'route'],
    ['openrouter', { preset: 'mine' }, 'preset'],
    ['groq', { compound_custom: { models: { answering_model: 'secret/model' } } }, 'compound_custom'],
    ['openai', { fallbacks: [{ model: 'secret/model' }] }, 'fallbacks'],
    ['openrouter', { plugins: [{ id: 'web' }, { id: 'fusion', analysis_models: ['secret/model'] }] }, 'plugins'],
    ['openrouter', { plugins: [{ id: 'auto-router', allowed_models: ['secret/*'] }] }, 'plugins'],
    ['openrouter', { plugins: { id: 'web' } }, 'plugins'],
    ['openrouter', { tools: [{ type: 'openrouter:advisor', parameters: { model: 'secret/model' } }] }, 'tools'],
    ['openai', { context_window_fallbacks: [{ gpt: ['secret/model'] }] }, 'context_window_fallbacks'],
    ['openrouter', { models: [1] }, 'models'],
    ['openrouter', { models: { a: 'secret/model' } }, 'models'],
  ])('what does not tell which, %s %j, is 400', async (provider, fields, param) => {
    expect(await chat('alice', `${provider}/gpt`, fields)).toMatchObject({ status: 400, param, sent: [] })
  })

  test('under a limit on cost none may be named, nor one that is counted otherwise; under one on tokens of all models they may', async () => {
    const prices = [{ model: '*', input_per_million: 1, output_per_million: 10 }]
    const quotas = [
      { limits: [{ period: 'day', dollars: 100 }], prices },
      { limits: [{ period: 'day', output_tokens: 1000, models: ['up/other'] }] },
    ]
    for (const quota of quotas) {
      await using on = await governed({ quota })
      const response = await on.chat({ models: ['other'] })
      const { error } = (await response.json()) as { error: { param: string } }
      expect([response.status, error.param, on.upstream.requests.filter(({ method }) => method === 'POST').length]).toEqual([
        400,
        'models',
        0,
      ])
    }
    await using on = await governed({ quota: { limits: [{ period: 'day', output_tokens: 1000 }] } })
    await on.chat({ models: ['other', 'm'] })
    expect(on.upstream.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
  })

  test('every field of a provider that names models is a governed one', async () => {
    for (const id of ['openrouter', 'groq', 'lmstudio', 'openai']) {
      const { named = [], uncheckable = [], inspected = [] } = fallbackModelsAt(id, 'http://127.0.0.1/v1') ?? {}
      const ofDefinition = entry(id).definition.governedFields
      for (const field of [...named, ...uncheckable, ...inspected]) {
        expect(ofDefinition).toContain(field)
      }
    }
  })

  const speaking = ['openai', 'openai-compatible', 'vllm', 'groq', 'lmstudio', 'llama-openai-compat', 'together', 'passthrough']

  test.each(speaking)('OpenRouter’s fields count wherever base_url leads to it: remote::%s', (id) => {
    for (const root of ['https://openrouter.ai/api/v1', 'https://EU.OpenRouter.ai./api/v1', 'http://openrouter.ai:8080/']) {
      const fallbacks = fallbackModelsAt(id, root)
      expect(fallbacks?.uncheckable).toEqual(expect.arrayContaining(['route', 'preset', 'context_window_fallbacks']))
      expect(fallbacks?.findModelChoice?.({ plugins: [{ id: 'fusion' }] })).toBe('plugins')
      expect(fallbacks?.findModelChoice?.({ tools: [{ type: 'openrouter:advisor' }] })).toBe('tools')
      expect(fallbacks?.findModelChoice?.({ plugins: [{ id: 'web' }], tools: [{ type: 'function' }] })).toBeUndefined()
    }
    for (const root of ['https://notopenrouter.ai/v1', 'https://openrouter.ai.example.com/v1', 'https://example.com/openrouter.ai']) {
      const fallbacks = fallbackModelsAt(id, root)
      expect(fallbacks?.uncheckable).not.toContain('route')
      expect(fallbacks?.findModelChoice).toBeUndefined()
    }
    expect(fallbackModelsAt('groq', 'https://openrouter.ai/api/v1')?.uncheckable).toContain('compound_custom')
  })
})
