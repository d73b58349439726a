import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { VerdictCache } from '../../src/auth/verdict-cache.ts'
import { failureOf, jsonReply, mockUpstream } from '../../src/testing/index.ts'
import { chainOf, guarded, outcome, standingClock, until, whoIs } from './guarded.ts'
import { runs } from '../../src/testing/sizes.ts'

/** An introspection endpoint that knows the tokens that begin with `good`. */
async function start(over: Record<string, unknown> = {}) {
  const service = await mockUpstream()
  service.respond(({ text }) => {
    const token = new URLSearchParams(text).get('token') ?? ''
    return jsonReply(token.startsWith('good') ? { active: true, sub: token } : { active: false })
  })
  const introspection = { url: service.url, client_id: 'corral', client_secret: 'secret' }
  return { service, section: { type: 'oauth2_token', introspection, ...over }, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() }
}

describe('what is remembered of credentials', () => {
  test('[AUT-50] a good one is looked up once in its TTL, a bad one once in the negative TTL', async () => {
    const clock = standingClock()
    await using it = await start({ cache_ttl_seconds: 60, negative_cache_ttl_seconds: 10 })
    const chain = chainOf(it.section, clock)
    const asked = async (token: string) => {
      const before = it.service.requests.length
      await outcome(chain, token)
      return it.service.requests.length - before
    }
    expect([await asked('good'), await asked('good'), await asked('bad'), await asked('bad')]).toEqual([1, 0, 1, 0])
    clock.pass(9_999)
    expect([await asked('good'), await asked('bad')]).toEqual([0, 0])
    clock.pass(1)
    expect([await asked('good'), await asked('bad')]).toEqual([0, 1])
    clock.pass(50_000)
    expect(await asked('good')).toBe(1)
  })

  test('with TTLs of 0 somebody is asked every time', async () => {
    await using it = await start({ cache_ttl_seconds: 0, negative_cache_ttl_seconds: 0 })
    const chain = chainOf(it.section)
    for (const token of ['good', 'good', 'bad', 'bad']) await outcome(chain, token)
    expect(it.service.requests).toHaveLength(4)
  })

  test('[AUT-50] a cached result is returned synchronously without reading the signal', async () => {
    await using it = await start()
    const chain = chainOf(it.section)
    const request = new Request('http://corral.test/', { headers: { authorization: 'Bearer good' } })
    await whoIs(chain, 'good')
    const attempt = {
      request,
      peerAddress: undefined,
      get signal(): AbortSignal {
        throw new Error('nobody needs to wait')
      },
    }
    const principal = chain.authenticate(attempt)
    expect(principal).not.toBeInstanceOf(Promise)
    expect(principal).toMatchObject({ id: 'good' })
    expect(Object.isFrozen(principal)).toBe(true)
  })

  test('[AUT-51] those who show the same credential at the same time share one look-up', async () => {
    await using it = await start()
    const chain = chainOf(it.section)
    const all = await Promise.all(Array.from({ length: 200 }, () => outcome(chain, 'good')))
    expect(new Set(all)).toEqual(new Set(['good']))
    const refused = await Promise.all(Array.from({ length: 200 }, () => outcome(chain, 'bad')))
    expect(new Set(refused)).toEqual(new Set(['401 Token not active']))
    expect(it.service.requests).toHaveLength(2)
  })

  test('[AUT-51] a caller who leaves does not end the look-up of the others', async () => {
    await using it = await start()
    const gate = Promise.withResolvers<void>()
    it.service.enqueue({ before: { until: gate.promise }, ...jsonReply({ active: true, sub: 'ada' }) })
    const chain = chainOf(it.section)
    const leaving = new AbortController()
    const first = failureOf(whoIs(chain, 'good', { signal: leaving.signal }))
    const second = outcome(chain, 'good')
    await it.service.received(1)
    leaving.abort(new Error('left'))
    expect(await first).toMatchObject({ message: 'left' })
    gate.resolve()
    expect(await second).toBe('ada')
    expect(it.service.requests.map(({ aborted }) => aborted)).toEqual([false])
  })

  test('[AUT-51] nor does it matter when all have left: what is found is remembered', async () => {
    await using it = await start()
    const gate = Promise.withResolvers<void>()
    it.service.enqueue({ before: { until: gate.promise }, ...jsonReply({ active: true, sub: 'ada' }) })
    const chain = chainOf(it.section)
    const leaving = new AbortController()
    const only = failureOf(whoIs(chain, 'good', { signal: leaving.signal }))
    await it.service.received(1)
    leaving.abort(new Error('left'))
    await only
    gate.resolve()
    await it.service.quiet()
    expect(await outcome(chain, 'good')).toBe('ada')
    expect(it.service.requests).toHaveLength(1)
  })

  test('[AUT-52] an outage is remembered for a second, no longer', async () => {
    const clock = standingClock()
    await using it = await start()
    const chain = chainOf(it.section, clock)
    it.service.enqueue({ status: 500 })
    for (let round = 0; round < 3; round++) expect(await outcome(chain, 'good')).toBe('503 Authentication service unavailable')
    expect(it.service.requests).toHaveLength(1)
    expect(await outcome(chain, 'good-other')).toBe('good-other')
    clock.pass(1_000)
    expect(await outcome(chain, 'good')).toBe('good')
  })
})

describe('a flood of unknown credentials', () => {
  test('[AUT-53] 10,000 at once: the service gets few of them, a few at a time, and who is known goes on', async () => {
    await using it = await start({ max_concurrent_lookups: 8, max_queued_lookups: 100, max_refusals_per_minute: 0, timeout_seconds: 60 })
    const chain = chainOf(it.section)
    expect(await outcome(chain, 'good')).toBe('good')
    let peak = 0
    const response = jsonReply({ active: false })
    it.service.respond(() => {
      peak = Math.max(peak, it.service.active)
      return response
    })
    const flood = Array.from({ length: 10_000 }, (_, index) =>
      outcome(chain, `unknown-${index}`, { clientAddress: `198.51.100.${index % 250}` }),
    )
    expect(await outcome(chain, 'good')).toBe('good')
    const said = await Promise.all(flood)
    const counts = new Map<string, number>()
    for (const one of said) counts.set(one, (counts.get(one) ?? 0) + 1)
    expect(Object.fromEntries(counts)).toEqual({
      '401 Token not active': 108,
      '503 Too many credentials are being checked at the moment': 10_000 - 108,
    })
    expect(it.service.requests).toHaveLength(1 + 108)
    expect(peak).toBeLessThanOrEqual(8)
    expect(await outcome(chain, 'good')).toBe('good')
    expect(it.service.requests).toHaveLength(1 + 108)
  })

  test('[AUT-53] 10,000 of one address, one after the other: after so many bad ones it has to wait, others have not', async () => {
    const clock = standingClock()
    await using it = await start({ max_refusals_per_minute: 60 })
    const chain = chainOf(it.section, clock)
    const attacker = { peerAddress: '10.0.0.1', clientAddress: '2001:db8::1' }
    const counts = new Map<string, number>()
    for (let index = 0; index < 10_000; index++) {
      // Another address of the same customer each time.
      const said = await outcome(chain, `unknown-${index}`, { ...attacker, clientAddress: `2001:db8::${(index % 9_999) + 1}` })
      counts.set(said, (counts.get(said) ?? 0) + 1)
    }
    expect(Object.fromEntries(counts)).toEqual({ '401 Token not active': 60, '429 Too many invalid credentials from this address': 9_940 })
    expect(it.service.requests).toHaveLength(60)
    expect(await outcome(chain, 'good-1', { ...attacker, clientAddress: '2001:db8:1::1' })).toBe('good-1')
    expect(await outcome(chain, 'good-2', attacker)).toBe('429 Too many invalid credentials from this address')
    // What is known needs no look-up.
    expect(await outcome(chain, 'good-1', attacker)).toBe('good-1')
    clock.pass(1_000)
    expect(await outcome(chain, 'good-2', attacker)).toBe('good-2')
  })

  test('[AUT-53] one client address gets no more than half of the places', async () => {
    await using it = await start({ max_concurrent_lookups: 2, max_queued_lookups: 6 })
    const chain = chainOf(it.section)
    const gate = Promise.withResolvers<void>()
    it.service.respond(() => ({ before: { until: gate.promise }, ...jsonReply({ active: false }) }))
    const flood = Array.from({ length: 100 }, (_, index) => outcome(chain, `unknown-${index}`, { clientAddress: '198.51.100.1' }))
    const other = Array.from({ length: 4 }, (_, index) => outcome(chain, `other-${index}`, { clientAddress: '198.51.100.2' }))
    const last = outcome(chain, 'third', { clientAddress: '198.51.100.3' })
    expect(await last).toStartWith('503')
    gate.resolve()
    expect((await Promise.all(flood)).filter((said) => said.startsWith('401'))).toHaveLength(4)
    expect((await Promise.all(other)).filter((said) => said.startsWith('401'))).toHaveLength(4)
  })

  test('[AUT-53] waiting in the queue is limited by the timeout of the service', async () => {
    await using it = await start({ max_concurrent_lookups: 1, timeout_seconds: 0.5 })
    const chain = chainOf(it.section)
    it.service.respond(() => ({ before: { stall: true } }))
    const said = await Promise.all(['a', 'b', 'c'].map((token) => outcome(chain, token)))
    expect(new Set(said)).toEqual(new Set(['503 Authentication service timeout']))
    it.service.respond(() => jsonReply({ active: true, sub: 'ada' }))
    expect(await outcome(chain, 'd')).toBe('ada')
  })

  test('[AUT-53] over HTTP: each gets 401, 429 or 503 with its headers and one log line, none gets 500', async () => {
    await using it = await start({ max_concurrent_lookups: 4, max_queued_lookups: 16, max_refusals_per_minute: 100 })
    await using server = await guarded(it.section)
    const statuses = new Map<number, number>()
    for (let round = 0; round < 20; round++) {
      const responses = await Promise.all(
        Array.from({ length: 50 }, (_, index) => server.fetch('/v1/models', { headers: { 'x-api-key': `unknown-${round}-${index}` } })),
      )
      for (const { status, headers, body } of responses) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        expect(headers.has(status === 401 ? 'www-authenticate' : 'retry-after')).toBe(true)
        await body?.cancel()
      }
    }
    expect([...statuses.keys()].filter((status) => ![401, 429, 503].includes(status))).toEqual([])
    expect(it.service.requests.length).toBeLessThanOrEqual(100 + 20)
    await until(() => server.lines.filter(({ message }) => message === 'request').length === 1_000)
    expect(JSON.stringify(server.lines)).not.toContain('unknown-')
  })
})

describe('the cache', () => {
  test('a flood of bad credentials pushes no good one out', async () => {
    await using it = await start({ cache_max_entries: 10, max_refusals_per_minute: 0 })
    const chain = chainOf(it.section)
    for (let index = 0; index < 5; index++) await outcome(chain, `good-${index}`)
    for (let index = 0; index < 100; index++) await outcome(chain, `bad-${index}`)
    const before = it.service.requests.length
    for (let index = 0; index < 5; index++) expect(await outcome(chain, `good-${index}`)).toBe(`good-${index}`)
    expect(it.service.requests).toHaveLength(before)
  })

  test('returns only the latest unexpired value of a key, and never exceeds its size', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key: fc.nat(12), ttl: fc.integer({ min: -5, max: 50 }) }),
      fc.record({ do: fc.constant('get' as const), key: fc.nat(12) }),
      fc.record({ do: fc.constant('pass' as const), by: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 120 }), (size, steps) => {
        const clock = standingClock(0)
        const cache = new VerdictCache<number>(size, () => clock.now())
        const model = new Map<string, { value: number; end: number }>()
        for (const [index, one] of steps.entries()) {
          if (one.do === 'pass') clock.pass(one.by)
          else if (one.do === 'set') {
            cache.set(`k${one.key}`, index, clock.now() + one.ttl)
            if (one.ttl > 0) model.set(`k${one.key}`, { value: index, end: clock.now() + one.ttl })
          } else {
            const found = cache.get(`k${one.key}`)
            const known = model.get(`k${one.key}`)
            // It may have made room, but it may not be wrong.
            if (found !== undefined) expect([found, (known?.end ?? 0) > clock.now()]).toEqual([known?.value as number, true])
          }
          expect(cache.size).toBeLessThanOrEqual(size)
        }
      }),
      { numRuns: runs(1000) },
    )
  })

  test('what was asked for since makes no room for what is new', () => {
    const cache = new VerdictCache<string>(3, () => 0)
    for (const key of ['a', 'b', 'c']) cache.set(key, key, 1)
    cache.get('a')
    cache.get('c')
    cache.set('d', 'd', 1)
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual(['a', undefined, 'c', 'd'])
  })
})
