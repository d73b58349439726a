import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import type { Counter, Demand, QuotaStore } from '../../src/quota/counters.ts'
import { createLimiter, type LimiterOptions } from '../../src/quota/limiter.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { VirtualTime } from './limiter-simulation.ts'

const tokens: Counter = { id: 'tokens', unit: 'total_tokens', limit: 100_000, period: 'day', label: 'tokens a day' }
const slots: Counter = { id: 'slots', unit: 'slots', limit: 10, period: 'day', label: 'at a time' }
const one = (counter: Counter, amount = 1): Demand[] => [{ counter, amount }]

/** A store that fails, is silent or works, as a test says, and a limiter at it. */
function startQuotaServer(failure: 'closed' | 'open', options: Partial<LimiterOptions> = {}) {
  const time = new VirtualTime(Date.UTC(2026, 0, 5))
  const memory = createMemoryStore({ shared: true, now: () => time.now })
  const state = { mode: 'works' as 'works' | 'fails' | 'silent', asked: 0, events: [] as string[] }
  const through = <T>(run: () => Promise<T>): Promise<T> => {
    state.asked++
    if (state.mode === 'fails') return Promise.reject(new Error('no way'))
    return state.mode === 'silent' ? new Promise(() => undefined) : run()
  }
  const store: QuotaStore = {
    shared: true,
    exchange: (request) => through(() => memory.exchange(request)),
    hold: (request) => through(() => memory.hold(request)),
    async [Symbol.asyncDispose]() {},
  }
  const events = {
    storeFailed: (error: unknown) => state.events.push(`failed: ${error instanceof Error ? error.message : String(error)}`),
    storeRecovered: (unmetered: number) => state.events.push(`back: ${unmetered}`),
  }
  const limiter = createLimiter({ store, failure, events, clock: time.clock(), ...options })
  const outcome = async (demands: Demand[]) => {
    try {
      const reply = await limiter.reserve(demands)
      return 'refused' in reply ? 'refused' : 'admitted'
    } catch (error) {
      return error instanceof ApiError ? error.status : error
    }
  }
  return { time, limiter, state, outcome }
}

describe('the quota store is unavailable', () => {
  test('[QUO-14] failing closed: 503 with Retry-After, reported once, until the store recovers', async () => {
    const { limiter, state, outcome, time } = startQuotaServer('closed')
    expect(await outcome(one(tokens, 10))).toBe('admitted')
    state.mode = 'fails'
    const failure = await failureOf(Promise.resolve(limiter.reserve(one(tokens, 5000))))
    expect(failure).toMatchObject({
      status: 503,
      type: 'service_unavailable_error',
      headers: { 'retry-after': '2' },
      denial: { by: 'quota' },
    })
    for (let at = 0; at < 100; at++) expect(await outcome(one(tokens, 5000))).toBe(503)
    for (let at = 0; at < 100; at++) expect(await outcome(one(slots))).toBe(503)
    await time.runUntil(time.now + 10_000)
    expect(await outcome(one(tokens, 5000))).toBe(503)
    expect(state.events).toEqual(['failed: no way'])
    state.mode = 'works'
    await time.runUntil(time.now + 2500)
    expect(await outcome(one(tokens, 5000))).toBe('admitted')
    expect(await outcome(one(slots))).toBe('admitted')
    expect(state.events).toEqual(['failed: no way', 'back: 0'])
  })

  test('[QUO-14] leases at hand go on being used', async () => {
    const { state, outcome, limiter } = startQuotaServer('closed')
    expect(await outcome(one(tokens, 10))).toBe('admitted')
    expect(await outcome(one(slots))).toBe('admitted')
    state.mode = 'fails'
    const left = limiter.status(tokens).remaining
    expect(await outcome(one(tokens, 10))).toBe('admitted')
    expect(await outcome(one(tokens, 10))).toBe('admitted')
    expect(limiter.status(tokens).remaining).toBe(left - 20)
  })

  test('[QUO-14] failing open: admitted uncounted, and how many is reported on recovery', async () => {
    const { state, outcome, time, limiter } = startQuotaServer('open')
    state.mode = 'fails'
    for (let at = 0; at < 50; at++) expect(await outcome([...one(tokens, 5000), ...one(slots)])).toBe('admitted')
    state.mode = 'works'
    await time.runUntil(time.now + 2500)
    expect(await outcome(one(tokens, 100_000))).toBe('admitted')
    expect(state.events).toEqual(['failed: no way', 'back: 50'])
    expect(await outcome(one(tokens, 1))).toBe('refused')
    for (let at = 0; at < 10; at++) expect(await outcome(one(slots))).toBe('admitted')
    expect(await outcome(one(slots))).toBe('refused')
    await limiter[Symbol.asyncDispose]()
  })

  test('[QUO-14] what one request reserves in several steps is reported as one that was admitted uncounted', async () => {
    const { state, time, limiter } = startQuotaServer('open')
    state.mode = 'fails'
    for (let at = 0; at < 5; at++) {
      const request = {}
      await limiter.reserve([...one(tokens), ...one(slots)], request)
      await limiter.reserve(one(tokens, 5000), request)
    }
    state.mode = 'works'
    await time.runUntil(time.now + 2500)
    await limiter.reserve(one(tokens))
    expect(state.events).toEqual(['failed: no way', 'back: 5'])
  })

  test('[QUO-14] a store that does not reply gets one call at a time, and keeps no requesty for longer than its time', async () => {
    const { state, outcome, time } = startQuotaServer('closed', { maxWaiting: 1000 })
    state.mode = 'silent'
    const outcomes: unknown[] = []
    const ask = async (counter: Counter) => void outcomes.push(await outcome(one(counter, 7)))
    for (let at = 0; at < 5000; at++) void ask(tokens)
    await time.runUntil(time.now)
    // One call for all; requests beyond the waiting limit fail at once.
    expect(state.asked).toBe(1)
    expect(outcomes).toEqual(Array.from({ length: 4000 }, () => 503))
    await time.runUntil(time.now + 1500)
    expect(outcomes).toHaveLength(5000)
    for (let subject = 0; subject < 500; subject++) void ask({ ...tokens, id: `subject ${subject}` })
    await time.runUntil(time.now + 10_000)
    expect(outcomes).toHaveLength(5500)
    expect(state.asked).toBe(1)
    for (let subject = 0; subject < 500; subject++) void ask({ ...tokens, id: `subject ${subject}` })
    await time.runUntil(time.now + 1500)
    // One finds out that it is still silent, for all.
    expect(outcomes).toHaveLength(6000)
    expect(state.asked).toBe(2)
    state.mode = 'works'
    await time.runUntil(time.now + 4000)
    expect(await outcome(one(tokens, 7))).toBe('admitted')
  })

  test('[QUO-14] one failed call is retried without an effect', async () => {
    const { state, outcome } = startQuotaServer('closed')
    state.mode = 'fails'
    const reply = outcome(one(tokens))
    state.mode = 'works'
    expect(await reply).toBe('admitted')
    expect(state.events).toEqual([])
  })

  test('[QUO-4] what is owed while the store is out of reach is counted when it is back', async () => {
    const { state, limiter, outcome, time } = startQuotaServer('closed')
    const reservation = await limiter.reserve(one(tokens, 10))
    state.mode = 'fails'
    if ('settle' in reservation) reservation.settle([60_000])
    await time.runUntil(time.now + 5000)
    state.mode = 'works'
    await time.runUntil(time.now + 5000)
    expect(await outcome(one(tokens, 40_001))).toBe('refused')
  })
})
