import { describe, expect, test } from 'bun:test'
import type { Config } from '../../src/config/config.ts'
import {
  chatReply,
  errorReply,
  mockUpstream,
  modelsReply,
  recordedLog,
  refusingUrl,
  stallBeforeHead,
  testApp,
  testConfig,
  upstreamProvider,
  type MockRequest,
  type MockUpstream,
  type Script,
  type TestApp,
} from '../../src/testing/index.ts'

const quick = { initialRetryDelay: 5, maxRetryDelay: 20, firstListingTimeout: 20, callerListingTimeout: 1_000 }

/** Lists `models` (or what they return at the time), and serves chats. */
function serve(upstream: MockUpstream, models: readonly string[] | ((request: MockRequest) => Script)): void {
  upstream.respond((request) => {
    if (request.path === '/v1/models') return typeof models === 'function' ? models(request) : modelsReply(models)
    return request.path === '/v1/chat/completions' ? chatReply() : undefined
  })
}

async function idsOf(app: TestApp, header?: object): Promise<string[]> {
  const response = await app.fetch('/v1/models', header && { headers: { 'x-llamastack-provider-data': JSON.stringify(header) } })
  expect(response.status).toBe(200)
  const { data } = (await response.json()) as { data: { id: string }[] }
  return data.map(({ id }) => id)
}

function chat(app: TestApp, model: string, header?: object): Promise<Response> {
  return app.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(header && { 'x-llamastack-provider-data': JSON.stringify(header) }) },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
  })
}

/** Asks until it holds; the test's own time limit is the end of patience. */
async function until<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask()
    if (holds(value)) return value
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function listed(app: TestApp): Promise<void> {
  await until(
    async () => app.services.models.awaited,
    (awaited) => awaited.length === 0,
  )
}

const start = (config: Config, times: object = {}) => testApp(config, { times: { ...quick, ...times } })

describe('listing in the background', () => {
  test('[MOD-1] [MOD-7] models carry both families’ keys and are reached with and without prefix', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, ['openai/gpt-oss-120b', 'text-embed-1'])
    await using app = await start(testConfig({ providers: [upstreamProvider('groq', upstream.url, { key: 'k' })] }))
    await listed(app)
    const shown = await app.fetch('/v1/models/groq%2Fopenai%2Fgpt-oss-120b')
    const model = (await shown.json()) as Record<string, unknown>
    expect(model).toEqual({
      id: 'groq/openai/gpt-oss-120b',
      object: 'model',
      created: expect.any(Number),
      owned_by: expect.any(String),
      identifier: 'groq/openai/gpt-oss-120b',
      provider_id: 'groq',
      provider_resource_id: 'openai/gpt-oss-120b',
      type: 'model',
      model_type: 'llm',
      metadata: {},
      custom_metadata: { model_type: 'llm', provider_id: 'groq', provider_resource_id: 'openai/gpt-oss-120b' },
    })
    for (const path of ['groq/openai/gpt-oss-120b', 'openai/gpt-oss-120b']) {
      expect(await (await app.fetch(`/v1/models/${path}`)).json()).toEqual(model)
      expect(await (await app.fetch(`/v1/openai/v1/models/${path}`)).json()).toEqual(model)
      const before = upstream.requests.length
      const found = await chat(app, path)
      expect(found.status).toBe(200)
      expect(await found.json()).toMatchObject({ model: path })
      expect((await upstream.received(before + 1)).json).toMatchObject({ model: 'openai/gpt-oss-120b' })
    }
  })

  test('[MOD-3] a provider that is down at start appears once it is up', async () => {
    await using upstream = await mockUpstream()
    let up = false
    serve(upstream, () => (up ? modelsReply(['m']) : errorReply(503)))
    await using app = await start(testConfig({ providers: [upstreamProvider('p', upstream.url, { key: 'k' })] }))
    await upstream.received(3)
    expect(await idsOf(app)).toEqual([])
    up = true
    expect(
      await until(
        () => idsOf(app),
        (ids) => ids.length > 0,
      ),
    ).toEqual(['p/m'])
  })

  test('a provider that refuses connections is tried: its unlisted models go to it, and fail there', async () => {
    const url = await refusingUrl()
    await using app = await start(testConfig({ providers: [upstreamProvider('p', url, { key: 'k' })] }))
    await listed(app)
    expect((await chat(app, 'p/m')).status).toBe(502)
    expect((await chat(app, 'm')).status).toBe(404)
    expect(await idsOf(app)).toEqual([])
  })

  test('[MOD-4] until the first listing was tried, models are 503 with Retry-After, and then they are there', async () => {
    await using upstream = await mockUpstream()
    const gate = Promise.withResolvers<void>()
    serve(upstream, () => ({ ...modelsReply(['m']), before: { until: gate.promise } }))
    await using app = await start(testConfig({ providers: [upstreamProvider('p', upstream.url, { key: 'k' })] }))
    for (const model of ['p/m', 'm', 'p/none']) {
      const response = await chat(app, model)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(await response.json()).toMatchObject({ error: { type: 'service_unavailable_error', code: 'models_not_listed_yet' } })
      expect((await app.fetch(`/v1/models/${model}`)).status).toBe(503)
    }
    expect(app.services.models.awaited).toEqual(['p'])
    gate.resolve()
    await listed(app)
    expect((await chat(app, 'p/m')).status).toBe(200)
    expect((await chat(app, 'm')).status).toBe(200)
    expect((await app.fetch('/v1/models/p/none')).status).toBe(404)
  })

  test('a request that comes just before the first listing has ended waits for it', async () => {
    await using upstream = await mockUpstream()
    const gate = Promise.withResolvers<void>()
    serve(upstream, () => ({ ...modelsReply(['m']), before: { until: gate.promise } }))
    const config = testConfig({ providers: [upstreamProvider('p', upstream.url, { key: 'k' })] })
    await using app = await start(config, { firstListingTimeout: 60_000 })
    const pending = chat(app, 'm')
    await upstream.received(1)
    gate.resolve()
    expect((await pending).status).toBe(200)
  })

  test('[MOD-4] a listing that stalls: the provider serves after a while; whether a model is there is 503 until the listing has ended', async () => {
    for (const end of [modelsReply(['m']), errorReply(500)]) {
      await using upstream = await mockUpstream()
      const gate = Promise.withResolvers<void>()
      serve(upstream, () => ({ ...end, before: { until: gate.promise } }))
      const registered = { modelId: 'first', providerId: 'p', providerModelId: 'auto' }
      const config = testConfig({ providers: [upstreamProvider('p', upstream.url, { key: 'k' })], models: [registered] })
      await using app = await start(config, { patience: 10 })
      await listed(app)
      expect((await app.fetch('/readyz')).status).toBe(200)
      expect((await chat(app, 'p/m')).status).toBe(200)
      const asked = () => [chat(app, 'm'), chat(app, 'first'), ...['p/m', 'p/none', 'm', 'none'].map((id) => app.fetch(`/v1/models/${id}`))]
      for (const response of await Promise.all(asked())) {
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2'])
        expect(await response.json()).toMatchObject({ error: { code: 'models_not_listed_yet' } })
      }
      gate.resolve()
      const statuses = async () => (await Promise.all(asked())).map(({ status }) => status)
      // An alias that the operator has made does not vanish with the provider that is down.
      const expected = end.status === 500 ? [404, 503, 404, 404, 404, 404] : [200, 200, 200, 404, 200, 404]
      await until(statuses, (seen) => String(seen) === String(expected))
    }
  })

  test('[MOD-5] the list never waits for a provider that is slow', async () => {
    await using slow = await mockUpstream()
    await using fast = await mockUpstream()
    serve(slow, () => stallBeforeHead)
    serve(fast, ['m'])
    const providers = [upstreamProvider('slow', slow.url, { key: 'k' }), upstreamProvider('fast', fast.url, { key: 'k' })]
    await using app = await start(testConfig({ providers }))
    await slow.received(1)
    await until(
      async () => app.services.models.awaited,
      (awaited) => !awaited.includes('fast'),
    )
    expect(await idsOf(app)).toEqual(['fast/m'])
    expect(app.services.models.awaited).toEqual(['slow'])
    expect((await chat(app, 'fast/m')).status).toBe(200)
  })

  test('refresh_models lists again, without a gap and keeping what was when a refresh fails', async () => {
    await using upstream = await mockUpstream()
    let response: Script = modelsReply(['a', 'b'])
    serve(upstream, () => response)
    const provider = upstreamProvider('p', upstream.url, { key: 'k', config: { refresh_models: true } })
    await using app = await start(testConfig({ providers: [provider], server: { registryRefreshInterval: 0.005 } }))
    await until(
      () => idsOf(app),
      (ids) => ids.length === 2,
    )
    const first = (await (await app.fetch('/v1/models/p/b')).json()) as object
    response = errorReply(500)
    const failures = upstream.requests.length
    await upstream.received(failures + 3)
    expect(await idsOf(app)).toEqual(['p/a', 'p/b'])
    response = modelsReply(['b', 'c'])
    const seen = new Set<string>()
    await until(
      async () => {
        const ids = await idsOf(app)
        seen.add(ids.join())
        return ids
      },
      (ids) => ids.includes('p/c'),
    )
    expect([...seen].every((ids) => ids === 'p/a,p/b' || ids === 'p/b,p/c')).toBe(true)
    expect((await (await app.fetch('/v1/models/p/b')).json()) as object).toEqual(first)
  })

  test('without refresh_models, a listing that succeeded is enough', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, ['m'])
    const providers = [upstreamProvider('p', upstream.url, { key: 'k' })]
    await using app = await start(testConfig({ providers, server: { registryRefreshInterval: 0.001 } }))
    await listed(app)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(upstream.requests.length).toBe(1)
  })

  test('[MOD-8] allowed_models filters the list and holds for inference', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, ['a', 'b'])
    const provider = upstreamProvider('p', upstream.url, { key: 'k', config: { allowed_models: ['a', 'later'] } })
    await using app = await start(testConfig({ providers: [provider] }))
    await listed(app)
    expect(await idsOf(app)).toEqual(['p/a'])
    for (const model of ['p/b', 'b']) {
      const response = await chat(app, model)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({
        error: { code: 'model_not_found', message: expect.stringContaining('or you do not have access') },
      })
    }
    expect((await chat(app, 'p/a')).status).toBe(200)
    expect((await chat(app, 'p/later')).status).toBe(200)
  })

  test('a listing that fails is one line with the cause and without the key, and less often a line the longer it lasts', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, () => errorReply(401, { error: { message: 'Invalid API Key: operator-key' } }))
    const log = recordedLog()
    const config = testConfig({ providers: [upstreamProvider('p', upstream.url, { key: 'operator-key' })] })
    await using app = await testApp(config, { log, times: quick })
    await upstream.received(10)
    serve(upstream, ['m'])
    await until(
      () => idsOf(app),
      (ids) => ids.length > 0,
    )
    const failures = log.lines.filter(({ message }) => message === 'models could not be listed')
    expect(failures[0]?.fields).toMatchObject({ provider: 'p', cause: expect.stringContaining('Invalid API Key') })
    expect(failures.length).toBeLessThan(upstream.requests.length - 3)
    expect(JSON.stringify(log.lines)).not.toContain('operator-key')
    expect(log.lines.filter(({ message }) => message === 'models listed').map(({ fields }) => fields)).toMatchObject([
      { provider: 'p', models: 1 },
    ])
  })
})
