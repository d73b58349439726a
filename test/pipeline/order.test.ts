import { describe, expect, test } from 'bun:test'
import type { CorsConfig } from '../../src/config/config.ts'
import { ApiError, unavailable } from '../../src/errors.ts'
import { recordedLog, testConfig, testServer, providerOf } from '../../src/testing/index.ts'
import { asking, known, outcome, routesBeginning, serve } from './servers.ts'

const cors: CorsConfig = {
  allowOrigins: ['https://app.example'],
  allowMethods: ['GET', 'POST'],
  allowHeaders: ['*'],
  exposeHeaders: ['X-Request-Id'],
  allowCredentials: false,
  maxAge: 600,
}
const perDay = (authenticated: number, anonymous = authenticated) =>
  ({ limits: [], requests: { authenticated, anonymous, period: 'day' } }) as const
const callers = { alice: { attributes: {} }, bob: { attributes: {} } }

test('[PIP-1] of all that would refuse a request the first layer does', async () => {
  const parts = {
    routePolicy: routesBeginning('/v1/models', '/v1/embeddings', '/nothing'),
    quota: perDay(1),
    server: { cors, clientVersions: ['0.7'] },
  }
  await using server = await serve(parts, known(callers))
  const ask = async (path: string, headers: Record<string, string>) =>
    outcome(await server.fetch(path, { method: 'POST', body: '{', headers: { 'content-type': 'application/json', ...headers } }))

  const all = { origin: 'https://evil.example', 'content-encoding': 'br', 'x-ogx-client-version': '9.9.9' }
  const { origin: _origin, ...fromHere } = all
  const { 'content-encoding': _encoding, ...readable } = fromHere
  expect(await ask('/v1/chat/completions', all)).toBe('403 origin_not_allowed')
  expect(await ask('/v1/chat/completions', fromHere)).toBe('415 unsupported_content_encoding')
  expect(await ask('/v1/chat/completions', readable)).toBe('401 authentication_error')
  const alice = { ...readable, authorization: 'Bearer alice' }
  expect(await ask('/v1/chat/completions', alice)).toBe('403 route_not_permitted')
  // Rejected requests were not counted: the only allowed request remains for the first that passes.
  expect(await ask('/v1/embeddings', alice)).toBe('426 client_version_mismatch')
  expect(await ask('/v1/embeddings', alice)).toStartWith('429 ')
  const { 'x-ogx-client-version': _version, ...current } = alice
  expect(await ask('/nothing', { ...current, authorization: 'Bearer bob' })).toBe('404 unknown_url')
})

describe('the request quota', () => {
  test('[PIP-4] counts each user by its principal, not by its address', async () => {
    await using server = await serve({ quota: perDay(2, 1), server: { trustedProxies: ['127.0.0.1'] } }, known(callers))
    const ask = async (token: string, address: string) =>
      (await server.fetch('/v1/models', asking(token, { headers: { 'x-forwarded-for': address } }))).status
    expect([await ask('alice', '203.0.113.1'), await ask('alice', '203.0.113.2'), await ask('alice', '203.0.113.3')]).toEqual([
      200, 200, 429,
    ])
    expect([await ask('bob', '203.0.113.1'), await ask('bob', '203.0.113.1'), await ask('bob', '203.0.113.1')]).toEqual([200, 200, 429])
  })

  test('[PIP-4] does not count what is 401, nor public routes, nor preflights', async () => {
    await using server = await serve({ quota: perDay(1), server: { cors } }, known(callers))
    const preflight = { origin: 'https://app.example', 'access-control-request-method': 'GET' }
    for (let count = 0; count < 5; count++) {
      expect((await server.fetch('/v1/models')).status).toBe(401)
      expect((await server.fetch('/v1/models', asking('mallory'))).status).toBe(401)
      expect((await server.fetch('/v1/health')).status).toBe(200)
      expect((await server.fetch('/v1/models', { method: 'OPTIONS', headers: preflight })).status).toBe(204)
    }
    expect((await server.fetch('/v1/models', asking('alice'))).status).toBe(200)
    expect((await server.fetch('/v1/models', asking('alice'))).status).toBe(429)
  })

  test('[PIP-4] counts anonymous callers by the address that trusted proxies tell', async () => {
    await using server = await serve({ quota: perDay(100, 1), server: { trustedProxies: ['127.0.0.1'] } })
    const ask = async (forwardedFor: string) => (await server.fetch('/v1/models', { headers: { 'x-forwarded-for': forwardedFor } })).status
    expect([await ask('203.0.113.1'), await ask('203.0.113.2'), await ask('203.0.113.1')]).toEqual([200, 200, 429])
    expect(await ask('198.51.100.7, 203.0.113.2')).toBe(429)
  })

  test('[PIP-13] ignores the header of a peer that is not a trusted proxy', async () => {
    await using server = await serve({ quota: perDay(100, 1) })
    const ask = async (address: string) =>
      (await server.fetch('/v1/models', { headers: { 'x-forwarded-for': address, forwarded: `for=${address}`, 'x-real-ip': address } }))
        .status
    expect([await ask('203.0.113.1'), await ask('203.0.113.2')]).toEqual([200, 429])
  })
})

const chat = (token: string, body = '{"model":"p/m","messages":[{"role":"user","content":"x"}]}') =>
  asking(token, { method: 'POST', body, headers: { 'content-type': 'application/json' } })

describe('an error has CORS headers, from any layer', () => {
  const down = { ...known({}), authenticate: () => Promise.reject(unavailable('Authentication service unavailable', 5)) }
  const broken = { ...known({}), authenticate: () => Promise.reject(new Error('boom')) }
  const late = known(callers, { later: true })
  const policy = routesBeginning('/v1', '/nothing')
  const failing = providerOf('p', {
    invoke: {
      chat: () => Promise.reject(new ApiError('rate_limit_error', 'Slow down.', { provider: { id: 'p', status: 429, body: '' } })),
    },
  })
  const cases: [status: number, path: string, init: RequestInit, authentication: typeof late][] = [
    [401, '/v1/models', {}, late],
    [403, '/openapi.json', asking('alice'), late],
    [404, '/nothing', asking('alice'), late],
    [404, '/v1/models/none', asking('alice'), late],
    [405, '/v1/models', asking('alice', { method: 'PUT' }), late],
    [400, '/v1/chat/completions', chat('alice', '{'), late],
    [413, '/v1/chat/completions', chat('alice', 'x'.repeat(3000)), late],
    [415, '/v1/chat/completions', asking('alice', { method: 'POST', body: 'x', headers: { 'content-encoding': 'br' } }), late],
    [426, '/v1/models', asking('alice', { headers: { 'x-llamastack-client-version': '0.1.0' } }), late],
    [429, '/v1/chat/completions', chat('alice'), late],
    [503, '/v1/models', asking('alice'), down],
    [500, '/v1/models', asking('alice'), broken],
  ]
  for (const [status, path, init, authentication] of cases) {
    test(`[PIP-2] ${status} of ${init.method ?? 'GET'} ${path}`, async () => {
      const parts = { providers: [failing], routePolicy: policy, server: { cors, clientVersions: ['0.7'], maxBodyBytes: 2000 } }
      await using server = await serve(parts, authentication)
      const headers = { ...(init.headers as Record<string, string>), origin: 'https://app.example' }
      const response = await server.fetch(path, { ...init, headers })
      expect([
        response.status,
        response.headers.get('access-control-allow-origin'),
        response.headers.get('access-control-expose-headers'),
      ]).toEqual([status, 'https://app.example', 'X-Request-Id'])
      expect(response.headers.get('x-request-id')).toMatch(/^req_/)
      expect(response.headers.get('vary')).toContain('Origin')
    })
  }
  test('[PIP-2] 429 of the quota', async () => {
    await using server = await serve({ quota: perDay(1), server: { cors } }, late)
    const ask = () => server.fetch('/v1/models', asking('alice', { headers: { origin: 'https://app.example' } }))
    await ask()
    const response = await ask()
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([429, 'https://app.example'])
  })
})

test('[PIP-3] a preflight needs no credential, whatever the policies say', async () => {
  await using server = await serve({ routePolicy: routesBeginning('/none'), server: { cors } }, known({}))
  const ask = (path: string, origin: string) =>
    server.fetch(path, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-api-key' },
    })
  const response = await ask('/v1/chat/completions', 'https://app.example')
  expect([
    response.status,
    response.headers.get('access-control-allow-origin'),
    response.headers.get('access-control-allow-headers'),
  ]).toEqual([204, 'https://app.example', 'x-api-key'])
  expect(await outcome(await ask('/v1/chat/completions', 'https://evil.example'))).toBe('403 cors_not_allowed')
  // An OPTIONS that is no preflight is a request like any other.
  expect((await server.fetch('/v1/models', { method: 'OPTIONS' })).status).toBe(401)
})

test('[PIP-15] the layer that refuses is named in the access line, once', async () => {
  const log = recordedLog()
  const authentication = known({ alice: { attributes: {}, key: { id: 'key_7', limits: [], allowedApis: ['inference'] } } })
  const config = testConfig({ routePolicy: routesBeginning('/v1/models') })
  await using server = await testServer(config, { authentication, log })
  await server.fetch('/v1/models')
  await server.fetch('/v1/providers?key=hunter2', asking('alice'))
  await server.fetch('/v1/models', asking('alice'))
  const lines = log.lines.filter(({ message }) => message === 'request').map(({ fields }) => fields as Record<string, unknown>)
  expect(
    lines.map(({ route, status, principal, key_id, denied_by, denied_reason }) => ({
      route,
      status,
      principal,
      key_id,
      denied_by,
      denied_reason,
    })),
  ).toEqual([
    {
      route: '/v1/models',
      status: 401,
      principal: undefined,
      key_id: undefined,
      denied_by: 'authentication',
      denied_reason: 'no credential',
    },
    {
      route: '/v1/providers',
      status: 403,
      principal: 'alice',
      key_id: 'key_7',
      denied_by: 'route_policy',
      denied_reason: 'no rule matched',
    },
    {
      route: '/v1/models',
      status: 403,
      principal: 'alice',
      key_id: 'key_7',
      denied_by: 'key',
      denied_reason: "the key's APIs are: inference",
    },
  ])
  expect(JSON.stringify(log.lines)).not.toContain('hunter2')
})
