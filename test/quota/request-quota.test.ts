import { afterEach, describe, expect, test } from 'bun:test'
import { chatReply, errorReply } from '../../src/testing/index.ts'
import type { StoreExchange, QuotaStore } from '../../src/quota/counters.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { errorOf, expectStatus, governed, type Governed, type GovernedOptions, limitsOf, noon } from './quota-server.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const part of open.splice(0)) await part[Symbol.asyncDispose]()
})
async function on(options: GovernedOptions): Promise<Governed> {
  const startQuotaServer = await governed(options)
  open.push(startQuotaServer)
  startQuotaServer.upstream.respond(() => chatReply())
  return startQuotaServer
}
const callers = { alice: { attributes: {} }, bob: { attributes: {} } }
const models = '/v1/models'
const statuses = async (count: number, ask: () => Promise<Response>): Promise<number[]> => {
  const found: number[] = []
  for (let at = 0; at < count; at++) found.push((await ask()).status)
  return found
}

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })

describe('Llama Stack’s quota', () => {
  test('[QUO-31] counts by principal, after authentication: the authenticated limit is the one that holds', async () => {
    const startQuotaServer = await on({ quota: { anonymous_max_requests: 1, authenticated_max_requests: 3 }, callers })
    expect(await statuses(5, () => startQuotaServer.ask(models, { as: 'alice' }))).toEqual([200, 200, 200, 429, 429])
    expect(await statuses(4, () => startQuotaServer.ask(models, { as: 'bob' }))).toEqual([200, 200, 200, 429])
  })

  test('[QUO-31] what authentication refuses is not counted', async () => {
    const startQuotaServer = await on({ quota: { authenticated_max_requests: 1 }, callers })
    expect(await statuses(3, () => startQuotaServer.ask(models, { as: 'mallory' }))).toEqual([401, 401, 401])
    expect(await statuses(2, () => startQuotaServer.ask(models, { as: 'alice' }))).toEqual([200, 429])
  })

  test('without authentication everybody has the anonymous limit, by address', async () => {
    const startQuotaServer = await on({ quota: { anonymous_max_requests: 2, authenticated_max_requests: 9 } })
    expect(await statuses(3, () => startQuotaServer.ask(models))).toEqual([200, 200, 429])
  })

  test('[QUO-36] behind trusted proxies the address is the caller’s, else the connection’s', async () => {
    const quota = { anonymous_max_requests: 1 }
    const trusting = await on({ quota, server: { trustedProxies: ['127.0.0.0/8'] } })
    expect(await statuses(2, () => trusting.ask(models, from('192.0.2.1')))).toEqual([200, 429])
    expect(await statuses(2, () => trusting.ask(models, from('192.0.2.2')))).toEqual([200, 429])
    expect(await statuses(2, () => trusting.ask(models, from('2001:db8::1')))).toEqual([200, 429])
    expect((await trusting.ask(models, from('2001:db8::ffff'))).status).toBe(429)
    const wary = await on({ quota })
    expect((await wary.ask(models, from('192.0.2.1'))).status).toBe(200)
    expect((await wary.ask(models, from('192.0.2.2'))).status).toBe(429)
  })

  test('[QUO-32] what is stored holds neither token nor name', async () => {
    const counters: string[] = []
    const memory = createMemoryStore({ now: () => noon })
    const store: QuotaStore = {
      shared: memory.shared,
      exchange(request: StoreExchange) {
        counters.push(request.counter)
        return memory.exchange(request)
      },
      hold: (request) => memory.hold(request),
      [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
    }
    const startQuotaServer = await on({ quota: { authenticated_max_requests: 3 }, callers, store })
    await startQuotaServer.ask(models, { as: 'alice' })
    expect(counters.length).toBeGreaterThan(0)
    for (const counter of counters) expect(counter).toMatch(/^[\w-]{43}$/)
  })

  test('[QUO-37] requests at once: exactly as many as the limit', async () => {
    const startQuotaServer = await on({ quota: { authenticated_max_requests: 20 }, callers })
    const all = await Promise.all(Array.from({ length: 60 }, () => startQuotaServer.ask(models, { as: 'alice' })))
    expect(all.filter(({ status }) => status === 200)).toHaveLength(20)
    expect(all.filter(({ status }) => status === 429)).toHaveLength(40)
  })

  const periods = { second: 1000, minute: 60_000, hour: 3_600_000, day: 43_200_000, week: 43_200_000, month: Date.UTC(2026, 11, 1) - noon }
  for (const [period, length] of Object.entries(periods)) {
    test(`[QUO-38] a new ${period}, a new count`, async () => {
      const startQuotaServer = await on({ quota: { authenticated_max_requests: 1, period }, callers })
      expect(await statuses(2, () => startQuotaServer.ask(models, { as: 'alice' }))).toEqual([200, 429])
      startQuotaServer.now = noon + length - 1
      expect((await startQuotaServer.ask(models, { as: 'alice' })).status).toBe(429)
      startQuotaServer.now = noon + length
      expect(await statuses(2, () => startQuotaServer.ask(models, { as: 'alice' }))).toEqual([200, 429])
    })
  }

  test('[QUO-39] what is refused is not counted: neither here, nor where its response would have been', async () => {
    const quota = { authenticated_max_requests: 3, limits: [{ total_tokens: 1000, period: 'day' }] }
    const startQuotaServer = await on({ quota, callers })
    expect(await statuses(5, () => startQuotaServer.chat({ max_tokens: 2000 }, { as: 'alice' }))).toEqual([429, 429, 429, 429, 429])
    expect(limitsOf(await startQuotaServer.ask(models, { as: 'alice' }))).toMatchObject({ 'remaining-requests': '2' })
  })

  test('[QUO-42] neither health, version and readiness nor preflights are counted; nor is what the server or a provider fails', async () => {
    const startQuotaServer = await on({ quota: { anonymous_max_requests: 2 } })
    for (const path of ['/v1/health', '/v1/version', '/readyz', '/v1/openai/v1/health']) {
      const reply = await startQuotaServer.ask(path)
      expect([reply.status, limitsOf(reply)]).toEqual([200, {}])
    }
    expect((await startQuotaServer.ask(models, { method: 'OPTIONS' })).status).toBe(204)
    startQuotaServer.upstream.respond(() => errorReply(500))
    expect(await statuses(3, () => startQuotaServer.chat())).toEqual([500, 500, 500])
    startQuotaServer.upstream.respond(() => errorReply(400))
    expect(await statuses(3, () => startQuotaServer.chat())).toEqual([400, 400, 429])
  })

  test('[QUO-42] unknown routes, metrics and the admin API are neither counted nor refused', async () => {
    const quota = { authenticated_max_requests: 2, limits: [{ requests: 2, period: 'day', per: 'global' }] }
    const startQuotaServer = await on({ quota, callers })
    const uncounted = ['/v1/nowhere', '/metrics', '/v1alpha/admin/providers', '/v1alpha/admin/keys', '/v1alpha/admin/inspect/routes']
    const all = async () => {
      for (const path of uncounted) {
        const reply = await startQuotaServer.ask(path, { as: 'alice' })
        expect([path, reply.status === 429, limitsOf(reply)]).toEqual([path, false, {}])
      }
      expect((await startQuotaServer.ask('/v1alpha/admin/keys/key_1', { as: 'alice', method: 'DELETE' })).status).not.toBe(429)
    }
    await all()
    expect(await statuses(3, () => startQuotaServer.ask(models, { as: 'alice' }))).toEqual([200, 200, 429])
    await all()
  })

  test('[QUO-34] its text, its code, and when to come again', async () => {
    const daily = await on({ quota: { authenticated_max_requests: 1 }, callers })
    await daily.ask(models, { as: 'alice' })
    const used = await daily.ask(models, { as: 'alice' })
    expect([used.headers.get('retry-after'), used.headers.get('x-should-retry')]).toEqual([null, 'false'])
    expect(await errorOf(used)).toEqual({
      message: 'Quota exceeded: 1 request a day for each user. Resets at 2026-11-23T00:00:00Z.',
      type: 'rate_limit_error',
      code: 'insufficient_quota',
      param: null,
    } as never)
    const quick = await on({ quota: { authenticated_max_requests: 1, period: 'minute' }, callers })
    await quick.ask(models, { as: 'alice' })
    quick.now += 47_500
    const soon = await quick.ask(models, { as: 'alice' })
    expect([soon.headers.get('retry-after'), soon.headers.get('x-should-retry')]).toEqual(['13', null])
    expect((await errorOf(soon)).message).toStartWith('Quota exceeded')
  })

  test('[QUO-35] every response says what is left, refusals and errors included', async () => {
    const startQuotaServer = await on({ quota: { authenticated_max_requests: 2, period: 'minute' }, callers })
    startQuotaServer.now += 1500
    const limits = async (path: string) => limitsOf(await startQuotaServer.ask(path, { as: 'alice' }))
    expect(await limits(models)).toEqual({ 'limit-requests': '2', 'remaining-requests': '1', 'reset-requests': '59s' })
    expect(await limits('/v1/models/nowhere')).toEqual({ 'limit-requests': '2', 'remaining-requests': '0', 'reset-requests': '59s' })
    expect(await limits(models)).toEqual({ 'limit-requests': '2', 'remaining-requests': '0', 'reset-requests': '59s' })
  })
})

describe('the store is out of reach', () => {
  const broken: QuotaStore = {
    shared: true,
    exchange: () => Promise.reject(new Error('connection refused')),
    hold: () => Promise.reject(new Error('connection refused')),
    async [Symbol.asyncDispose]() {},
  }

  test('[QUO-43] closed, unless the configuration says otherwise: 503 with Retry-After, never 500', async () => {
    const startQuotaServer = await on({ quota: { authenticated_max_requests: 5 }, callers, store: broken })
    const reply = await startQuotaServer.ask(models, { as: 'alice' })
    expect([reply.status, Number(reply.headers.get('retry-after')) > 0]).toEqual([503, true])
    expect((await errorOf(reply)).type).toBe('service_unavailable_error')
    await expectStatus(await startQuotaServer.ask('/v1/health'), 200)
  })

  test('[QUO-43] open: requests pass', async () => {
    const quota = { authenticated_max_requests: 1, limits: [{ total_tokens: 30, period: 'day' }], on_store_failure: 'open' }
    const startQuotaServer = await on({ quota, callers, store: broken })
    expect(await statuses(3, () => startQuotaServer.ask(models, { as: 'alice' }))).toEqual([200, 200, 200])
    expect(await statuses(3, () => startQuotaServer.chat({}, { as: 'alice' }))).toEqual([200, 200, 200])
  })
})

test('[QUO-44] a server without limits counts nothing and adds no header', async () => {
  const startQuotaServer = await on({ quota: { limits: [] } })
  const reply = await startQuotaServer.chat()
  expect([reply.status, limitsOf(reply)]).toEqual([200, {}])
})
