import { describe, expect, test } from 'bun:test'
import {
  chatReply,
  errorReply,
  mockUpstream,
  modelsReply,
  providerOf,
  stallBeforeHead,
  testApp,
  testConfig,
  upstreamProvider,
  type MockRequest,
  type MockUpstream,
  type Script,
  type TestApp,
} from '../../src/testing/index.ts'

/** Lists for the key it is asked with; `undefined` is no good key. */
function serve(upstream: MockUpstream, modelsOf: (key: string) => Script | undefined): void {
  upstream.respond((request: MockRequest) => {
    const key = request.headers.authorization?.replace('Bearer ', '') ?? ''
    const list = modelsOf(key)
    if (!list) return errorReply(401, { error: { message: 'Invalid API Key', type: 'invalid_request_error', code: 'invalid_api_key' } })
    return request.path === '/v1/models' ? list : chatReply()
  })
}

function headersOf(providerData: object | undefined): Record<string, string> {
  return { 'content-type': 'application/json', ...(providerData && { 'x-llamastack-provider-data': JSON.stringify(providerData) }) }
}

async function idsOf(app: TestApp, providerData?: object): Promise<string[]> {
  const response = await app.fetch('/v1/models', { headers: headersOf(providerData) })
  expect(response.status).toBe(200)
  return ((await response.json()) as { data: { id: string }[] }).data.map(({ id }) => id)
}

function chat(app: TestApp, model: string, providerData?: object): Promise<Response> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] })
  return app.fetch('/v1/chat/completions', { method: 'POST', headers: headersOf(providerData), body })
}

const listings = (upstream: MockUpstream) => upstream.requests.filter(({ path }) => path === '/v1/models').length

describe('models that a caller’s own key lists', () => {
  test('[MOD-6] are shown to this credential alone, and never merged into the catalogue', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, (key) => modelsReply([`of-${key}`]))
    await using app = await testApp(testConfig({ providers: [upstreamProvider('p', upstream.url)] }))
    expect(await idsOf(app)).toEqual([])
    expect(upstream.requests.length).toBe(0)
    expect(await idsOf(app, { p_api_key: 'one' })).toEqual(['p/of-one'])
    expect(await idsOf(app, { p_api_key: 'two' })).toEqual(['p/of-two'])
    expect(await idsOf(app)).toEqual([])
    expect(await idsOf(app, { other_api_key: 'x' })).toEqual([])
    for (const model of ['of-one', 'p/of-one']) expect((await app.fetch(`/v1/models/${model}`)).status).toBe(404)
    const own = await app.fetch('/v1/models/p/of-one', { headers: headersOf({ p_api_key: 'one' }) })
    expect(await own.json()).toMatchObject({ id: 'p/of-one', provider_id: 'p' })
    expect((await app.fetch('/v1/models/p/of-one', { headers: headersOf({ p_api_key: 'two' }) })).status).toBe(404)
  })

  test('are asked once for each credential, not for each request', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, () => modelsReply(['m']))
    await using app = await testApp(testConfig({ providers: [upstreamProvider('p', upstream.url)] }))
    const responses = await Promise.all(Array.from({ length: 5 }, () => idsOf(app, { p_api_key: 'one' })))
    expect(responses).toEqual(Array.from({ length: 5 }, () => ['p/m']))
    await idsOf(app, { p_api_key: 'one' })
    expect(listings(upstream)).toBe(1)
  })

  test('stand beside those of the server’s own key', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, (key) => modelsReply(key === 'own' ? ['shared'] : ['shared', 'mine']))
    await using app = await testApp(testConfig({ providers: [upstreamProvider('p', upstream.url, { key: 'own' })] }))
    await upstream.received(1)
    while (app.services.models.awaited.length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(await idsOf(app, { p_api_key: 'c' })).toEqual(['p/shared', 'p/mine'])
    expect(await idsOf(app)).toEqual(['p/shared'])
  })

  test('are reached without prefix as well, though they were never listed before', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, () => modelsReply(['openai/m', 'p/native']))
    await using app = await testApp(testConfig({ providers: [upstreamProvider('p', upstream.url)] }))
    for (const model of ['openai/m', 'p/openai/m', 'p/native', 'p/p/native']) {
      const response = await chat(app, model, { p_api_key: 'one' })
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ model })
      expect(upstream.requests.at(-1)?.json).toMatchObject({ model: model.endsWith('native') ? 'p/native' : 'openai/m' })
    }
    expect((await chat(app, 'openai/m')).status).toBe(404)
  })

  test('are ambiguous only among those that this caller may use', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, () => modelsReply(['m']))
    const providers = ['a', 'b', 'c'].map((id) => upstreamProvider(id, upstream.url))
    await using app = await testApp(testConfig({ providers }))
    const response = await chat(app, 'm', { a_api_key: '1', b_api_key: '2' })
    expect(response.status).toBe(400)
    const { error } = (await response.json()) as { error: { message: string; param: string } }
    expect(error.message).toContain("'a/m', 'b/m'")
    expect(error.message).not.toContain("'c/m'")
    expect(error.param).toBe('model')
    expect((await chat(app, 'm', { c_api_key: '1' })).status).toBe(200)
  })

  test('are waited for only so long; the listing goes on and is there later', async () => {
    await using upstream = await mockUpstream()
    const gate = Promise.withResolvers<void>()
    serve(upstream, () => ({ ...modelsReply(['m']), before: { until: gate.promise } }))
    await using app = await testApp(testConfig({ providers: [upstreamProvider('p', upstream.url)] }), {
      times: { callerListingTimeout: 10 },
    })
    const providerData = { p_api_key: 'one' }
    expect(await idsOf(app, providerData)).toEqual([])
    const early = await chat(app, 'm', providerData)
    expect(early.status).toBe(503)
    expect(early.headers.get('retry-after')).toBe('2')
    gate.resolve()
    while ((await idsOf(app, providerData)).length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(listings(upstream)).toBe(1)
    expect((await chat(app, 'm', providerData)).status).toBe(200)
  })

  test('are not waited for by a request that names the provider', async () => {
    await using upstream = await mockUpstream()
    upstream.respond(({ path }) => (path === '/v1/models' ? stallBeforeHead : chatReply()))
    const config = testConfig({ providers: [upstreamProvider('p', upstream.url)] })
    await using app = await testApp(config, { times: { callerListingTimeout: 600_000 } })
    expect((await chat(app, 'p/m', { p_api_key: 'one' })).status).toBe(200)
    expect(listings(upstream)).toBe(0)
  })

  test('a key that is not good lists nothing, is not tried again at once, and is an error on use', async () => {
    await using upstream = await mockUpstream()
    serve(upstream, (key) => (key === 'good' ? modelsReply(['m']) : undefined))
    await using app = await testApp(testConfig({ providers: [upstreamProvider('p', upstream.url)] }))
    expect(await idsOf(app, { p_api_key: 'bad' })).toEqual([])
    expect(await idsOf(app, { p_api_key: 'bad' })).toEqual([])
    expect(listings(upstream)).toBe(1)
    const response = await chat(app, 'p/m', { p_api_key: 'bad' })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining('Invalid API Key') } })
    expect(await idsOf(app, { p_api_key: 'good' })).toEqual(['p/m'])
  })

  test('are bounded in number, and the least recently used go first', async () => {
    const asked: string[] = []
    const provider = providerOf('p', {
      hasOwnKey: false,
      acceptsKeyOf: ({ providerData }) => 'p_api_key' in providerData,
      async listModels({ providerData }) {
        asked.push(String(providerData.p_api_key))
        return [{ id: 'm', type: 'llm', metadata: {} }]
      },
    })
    await using app = await testApp(testConfig({ providers: [provider] }), { callerLimits: { maxEntries: 2 } })
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) expect(await idsOf(app, { p_api_key: key })).toEqual(['p/m'])
    expect(asked).toEqual(['a', 'b', 'c', 'b'])
  })

  test('are forgotten after a while and asked anew', async () => {
    let asked = 0
    const provider = providerOf('p', {
      hasOwnKey: false,
      acceptsKeyOf: ({ providerData }) => 'p_api_key' in providerData,
      async listModels() {
        asked += 1
        return asked === 1 ? [{ id: 'm', type: 'llm', metadata: {} }] : Promise.reject(new Error('revoked'))
      },
    })
    await using app = await testApp(testConfig({ providers: [provider] }), { callerLimits: { freshFor: 0 } })
    expect(await idsOf(app, { p_api_key: 'k' })).toEqual(['p/m'])
    expect(await idsOf(app, { p_api_key: 'k' })).toEqual([])
    expect(asked).toBe(2)
  })
})
