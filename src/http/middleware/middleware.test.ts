import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { dialects } from '../../dialects/index.ts'
import { ApiError } from '../../errors.ts'
import type { RequestFinished } from '../../telemetry/event-types.ts'
import { BodyBudget } from '../body-budget.ts'
import { RequestContext } from './context.ts'
import { cors, type CorsPolicy } from './cors.ts'
import { hostCheck, isLoopback } from './host-check.ts'
import { compose, type Middleware, type Next } from './middleware.ts'
import { parseProviderData, providerData } from './provider-data.ts'
import { requestId } from './request-id.ts'
import { ActiveRequests, requestLifecycle } from './request-lifecycle.ts'

/** The layers around `innermost`, as the app puts them together; `finished` collects what the access log gets. */
function around(layers: (Middleware | undefined)[], innermost: Next) {
  const finished: RequestFinished[] = []
  const active = new ActiveRequests()
  const events = { requestStarted: () => undefined, requestFinished: (event: RequestFinished) => void finished.push(event) }
  const chain = compose(
    layers.filter((layer) => layer !== undefined),
    innermost,
  )
  const handle = requestLifecycle(chain, { events, active, bodies: new BodyBudget(1_000_000), dialects, stopping: () => false })
  const call = (headers: Record<string, string> = {}, init: RequestInit = {}) => {
    const request = new Request('http://localhost/v1/models?key=secret', { ...init, headers })
    return handle(request, new RequestContext(request))
  }
  return { call, finished, active }
}

const ok: Next = async () => Response.json({ ok: true })
const fails: Next = async () => {
  throw new ApiError('rate_limit_error', 'Slow down.', { headers: { 'retry-after': '3' } })
}

describe('request id', () => {
  test("the caller's own ID is returned, on errors too", async () => {
    for (const innermost of [ok, fails]) {
      const response = await around([requestId()], innermost).call({ 'x-request-id': 'abc.1-2_3' })
      expect(response.headers.get('x-request-id')).toBe('abc.1-2_3')
    }
  })

  test('one that is not well-formed is replaced', async () => {
    const { call } = around([requestId()], ok)
    for (const id of ['', 'a b', 'a%20b', 'x'.repeat(129), '<script>']) {
      expect((await call({ 'x-request-id': id })).headers.get('x-request-id')).toMatch(/^req_\w{17,}$/)
    }
  })

  test('our own never repeat', async () => {
    const { call } = around([requestId()], ok)
    const ids = new Set<string | null>()
    for (let count = 0; count < 1000; count++) ids.add((await call()).headers.get('x-request-id'))
    expect(ids.size).toBe(1000)
  })
})

describe('responses', () => {
  test('an unknown failure is opaque, names the request and is logged once, with its cause', async () => {
    const boom = new Error('the password is hunter2')
    const { call, finished, active } = around([requestId()], () => Promise.reject(boom))
    const response = await call({ 'x-request-id': 'r-1' })
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      error: { message: 'Internal server error. Request ID: r-1.', type: 'server_error', code: null, param: null },
    })
    expect(finished).toHaveLength(1)
    expect(finished[0]).toMatchObject({ status: 500, error: boom, requestId: 'r-1' })
    expect(active.count).toBe(0)
  })

  test('headers are set on responses that cannot be written to', async () => {
    const redirect = Response.redirect('http://localhost/docs', 302)
    const response = await around([requestId()], async () => redirect).call({ 'x-request-id': 'r-2' })
    expect([response.status, response.headers.get('x-request-id'), response.headers.get('location')]).toEqual([
      302,
      'r-2',
      'http://localhost/docs',
    ])
  })

  test('a stream is complete when its source says so, and only once', async () => {
    const contexts: RequestContext[] = []
    const { call, finished, active } = around([], async (_request, context) => {
      contexts.push(context)
      context.record.streaming = true
      return new Response('data: 1\n\n')
    })
    await call()
    expect([active.count, finished.length]).toEqual([1, 0])
    const failure = new ApiError('upstream_error', 'cut')
    for (const { record } of contexts) {
      record.failure = failure
      record.complete?.()
      record.complete?.()
    }
    expect([active.count, finished.length]).toEqual([0, 1])
  })

  test('a stream that ends before its head is sent is complete', async () => {
    const { call, finished, active } = around([], async (_request, { record }) => {
      record.streaming = true
      record.complete?.()
      return new Response('data: 1\n\n')
    })
    await call()
    expect([active.count, finished.length]).toEqual([0, 1])
  })

  test('an abort by the server reaches the signal, whether it was used before or after', async () => {
    const contexts: RequestContext[] = []
    const { call, active } = around([], async (_request, context) => {
      contexts.push(context)
      context.record.streaming = true
      return new Response('')
    })
    await call()
    await call()
    const [early, late] = contexts as [RequestContext, RequestContext]
    const before = early.signal
    const reason = new ApiError('service_unavailable_error', 'The server is shutting down.')
    active.abort(reason)
    expect([before.reason, late.signal.reason]).toEqual([reason, reason])
  })

  test('a disconnect of the caller is not a failure of the server', async () => {
    const caller = new AbortController()
    const { call, finished } = around([], async (_request, context) => {
      const { signal } = context
      caller.abort()
      throw signal.reason
    })
    await call({}, { signal: caller.signal })
    expect(finished[0]).toMatchObject({ status: 499, disconnected: true })
  })
})

const policy: CorsPolicy = {
  allowOrigins: ['https://app.example'],
  allowOriginRegex: /https?:\/\/localhost:\d+/,
  allowMethods: ['GET', 'POST'],
  allowHeaders: ['Authorization', 'X-Corral-Provider-Data'],
  exposeHeaders: ['x-request-id'],
  allowCredentials: false,
  maxAge: 600,
}
const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization, content-type' }
const asPreflight = { method: 'OPTIONS' }

const headersWith = async (allowCredentials: boolean) =>
  (await around([cors({ ...policy, allowOrigins: ['*'], allowCredentials })], ok).call({ origin: 'https://x.example' })).headers

describe('CORS', () => {
  test('marks responses and errors alike', async () => {
    for (const innermost of [ok, fails]) {
      const { headers } = await around([cors(policy)], innermost).call({ origin: 'https://app.example' })
      expect(headers.get('access-control-allow-origin')).toBe('https://app.example')
      expect(headers.get('access-control-expose-headers')).toBe('x-request-id')
      expect(headers.get('vary')).toBe('Origin')
    }
  })

  test('the expression must match the whole origin', async () => {
    const { call } = around([cors(policy)], ok)
    const allowed = async (origin: string) => (await call({ origin })).headers.get('access-control-allow-origin')
    expect(await allowed('http://localhost:5173')).toBe('http://localhost:5173')
    expect(await allowed('http://localhost:5173.evil.example')).toBeNull()
    expect(await allowed('https://evil.example/http://localhost:1')).toBeNull()
  })

  test('no expression takes long over an origin, even one on which a backtracking engine would not terminate', async () => {
    const { call } = around([cors({ ...policy, allowOriginRegex: /https:\/\/(\w+)+\.example/ })], ok)
    const allowed = async (origin: string) => (await call({ origin })).headers.get('access-control-allow-origin')
    expect(await allowed(`https://${'a'.repeat(60)}!`)).toBeNull()
    expect(await allowed('https://app.example')).toBe('https://app.example')
  })

  test('responds to a preflight without calling the routes', async () => {
    const { call } = around([cors(policy)], fails)
    const response = await call({ origin: 'https://app.example', ...preflight }, asPreflight)
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-methods')).toBe('GET, POST')
    expect(response.headers.get('access-control-allow-headers')).toContain('x-corral-provider-data')
    expect(response.headers.get('access-control-max-age')).toBe('600')
    expect(response.headers.get('vary')).toBe('Origin, Access-Control-Request-Method, Access-Control-Request-Headers')
  })

  test('refuses a preflight with the option that would allow it', async () => {
    const { call } = around([cors(policy)], ok)
    const message = async (headers: Record<string, string>) => {
      const response = await call({ origin: 'https://app.example', ...preflight, ...headers }, asPreflight)
      expect(response.status).toBe(403)
      return ((await response.json()) as { error: { message: string } }).error.message
    }
    expect(await message({ origin: 'https://evil.example' })).toContain('server.cors.allow_origins')
    expect(await message({ 'access-control-request-method': 'DELETE' })).toContain('server.cors.allow_methods')
    expect(await message({ 'access-control-request-headers': 'x-other' })).toContain('server.cors.allow_headers')
  })

  test('an OPTIONS request that is not a preflight goes to the routes', async () => {
    const { call } = around([cors(policy)], ok)
    expect((await call({}, asPreflight)).status).toBe(200)
    expect((await call({ origin: 'https://app.example' }, asPreflight)).status).toBe(200)
  })

  test('any origin is `*`, and the origin itself where credentials go along', async () => {
    expect((await headersWith(false)).get('access-control-allow-origin')).toBe('*')
    const credentialed = await headersWith(true)
    expect(credentialed.get('access-control-allow-origin')).toBe('https://x.example')
    expect(credentialed.get('vary')).toBe('Origin')
  })
})

describe('Host check', () => {
  test('a loopback server accepts its own names only', async () => {
    const { call } = around([hostCheck({ host: undefined })], ok)
    for (const host of ['localhost', 'localhost:8321', 'LOCALHOST', '127.0.0.1:1', '[::1]:8321']) {
      expect([host, (await call({ host })).status]).toEqual([host, 200])
    }
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:8321', '[::2]', 'localhost@evil.example']) {
      expect([host, (await call({ host })).status]).toEqual([host, 403])
    }
    expect((await call()).status).toBe(200)
  })

  test('further names are allowed by name', async () => {
    const { call } = around([hostCheck({ host: undefined, allowedHosts: ['Corral.test'] })], ok)
    expect((await call({ host: 'corral.test:80' })).status).toBe(200)
  })

  test('a server for others is not checked unless its names are given', async () => {
    expect(hostCheck({ host: '0.0.0.0' })).toBeUndefined()
    const { call } = around([hostCheck({ host: '0.0.0.0', allowedHosts: ['corral.test'] })], ok)
    expect((await call({ host: 'other.test' })).status).toBe(403)
  })

  test('what loopback is', () => {
    expect([undefined, 'localhost', '127.0.0.1', '127.8.9.1', '::1'].every(isLoopback)).toBe(true)
    expect(['0.0.0.0', '::', '10.0.0.1', 'localhost.example', '128.0.0.1'].some(isLoopback)).toBe(false)
  })
})

describe('provider data', () => {
  test('is an object of its own: frozen, without prototype, without `__` keys', () => {
    const data = parseProviderData('{"groq_api_key":"k","__authenticated_user":{},"__proto__":{"x":1}}')
    expect(Object.isFrozen(data)).toBe(true)
    expect(Object.getPrototypeOf(data)).toBeNull()
    expect(Object.entries(data)).toEqual([['groq_api_key', 'k']])
    expect(Object.prototype).not.toHaveProperty('x')
  })

  test('any text is data or a reason that does not repeat it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const data = parseProviderData(text)
        if (typeof data === 'string') expect(['is not JSON', 'is not a JSON object']).toContain(data)
        else expect(Object.keys(data).some((key) => key.startsWith('__'))).toBe(false)
      }),
    )
  })

  test("every spelling of the header works; Corral's own first", async () => {
    const seen: unknown[] = []
    const { call } = around([providerData()], async (_, { providerData: data }) => {
      seen.push({ ...data })
      return new Response()
    })
    await call({ 'x-llamastack-provider-data': '{"a":1}' })
    await call({ 'x-ogx-provider-data': '{"a":2}' })
    await call({ 'x-corral-provider-data': '{"a":3}', 'x-ogx-provider-data': '{"a":4}' })
    await call()
    expect(seen).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }, {}])
  })
})
