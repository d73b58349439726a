import { describe, expect, test } from 'bun:test'
import packageJson from '../../package.json' with { type: 'json' }
import { providerOf, testApp, testConfig, type TestApp } from '../../src/testing/index.ts'

async function json(app: TestApp, path: string): Promise<Record<string, unknown>> {
  const response = await app.fetch(path)
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

interface Routes {
  data: { route: string; method: string; provider_types: string[] }[]
}

describe('what the server says of itself', () => {
  test('health and version, at each path', async () => {
    await using app = await testApp(testConfig({}))
    for (const path of ['/v1/health', '/v1alpha/admin/health']) expect(await json(app, path)).toEqual({ status: 'OK' })
    for (const path of ['/v1/version', '/v1alpha/admin/version']) expect(await json(app, path)).toEqual({ version: packageJson.version })
  })

  test('its routes, by level and by default all that are not deprecated', async () => {
    await using app = await testApp(testConfig({ providers: [providerOf('p', {})] }))
    const routes = async (query: string, path = '/v1/inspect/routes') => ((await json(app, path + query)) as unknown as Routes).data
    const all = await routes('')
    expect(all).toContainEqual({ route: '/v1/chat/completions', method: 'POST', provider_types: ['remote::scripted'] })
    expect(all).toContainEqual({ route: '/v1/models/{model_id}', method: 'GET', provider_types: [] })
    const levels = {
      v1: await routes('?api_filter=v1'),
      v1alpha: await routes('?api_filter=v1alpha'),
      v1beta: await routes('?api_filter=v1beta'),
    }
    expect([...levels.v1, ...levels.v1alpha, ...levels.v1beta].toSorted(byRoute)).toEqual(all.toSorted(byRoute))
    expect(levels.v1.every(({ route }) => route.startsWith('/v1/'))).toBe(true)
    expect(levels.v1alpha.map(({ route }) => route)).toContain('/v1alpha/admin/providers')
    const deprecated = await routes('?api_filter=deprecated')
    expect(deprecated.map(({ route }) => route)).toContain('/v1/openai/v1/models')
    expect(all.some(({ route }) => route.startsWith('/v1/openai/'))).toBe(false)
    expect(await routes('', '/v1alpha/admin/inspect/routes')).toEqual(all)
  })

  test('an unknown filter is 400', async () => {
    await using app = await testApp(testConfig({}))
    const response = await app.fetch('/v1/inspect/routes?api_filter=v9')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', param: 'api_filter' } })
  })
})

describe('GET /readyz', () => {
  test('is 503 with the reason while the server is blocked, and alive all the while', async () => {
    await using app = await testApp(testConfig({}))
    expect(await json(app, '/readyz')).toEqual({ status: 'ready', reasons: [], awaiting: [] })
    const unblock = app.services.readiness.block('draining')
    const response = await app.fetch('/readyz')
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({ status: 'unready', reasons: ['draining'], awaiting: [] })
    expect(await json(app, '/v1/health')).toEqual({ status: 'OK' })
    unblock()
    expect(await json(app, '/readyz')).toMatchObject({ status: 'ready' })
  })

  test('says what is awaited, which does not make it unready', async () => {
    const providers = [
      providerOf('slow', {
        listModels: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
      }),
      providerOf('loading', { pendingReason: () => 'downloading qwen3-0.6b: 42 %' }),
    ]
    await using app = await testApp(testConfig({ providers }))
    expect(await json(app, '/readyz')).toEqual({
      status: 'ready',
      reasons: [],
      awaiting: ["the models of provider 'slow'", 'downloading qwen3-0.6b: 42 %'],
    })
  })

  test('serves HEAD', async () => {
    await using app = await testApp(testConfig({}))
    const response = await app.fetch('/readyz', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })
})

describe('models of the configuration and of providers are not changed by callers', () => {
  test('DELETE is 403 for one that is there, 404 for one that is not', async () => {
    const provider = providerOf('p', { listModels: async () => [{ id: 'a/b', type: 'llm', metadata: {} }] })
    await using app = await testApp(testConfig({ providers: [provider] }))
    const deleted = await app.fetch('/v1/models/p/a/b', { method: 'DELETE' })
    expect(deleted.status).toBe(403)
    expect(await deleted.json()).toMatchObject({ error: { type: 'permission_error', code: 'model_not_deletable' } })
    expect((await app.fetch('/v1/models/none', { method: 'DELETE' })).status).toBe(404)
  })
})

function byRoute(a: { route: string; method: string }, b: { route: string; method: string }): number {
  return `${a.route} ${a.method}` < `${b.route} ${b.method}` ? -1 : 1
}
