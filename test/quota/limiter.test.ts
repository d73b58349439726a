import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ApiError } from '../../src/errors.ts'
import type { Counter, Demand, StoreExchange, Limiter, QuotaRefusal, Reservation } from '../../src/quota/counters.ts'
import { createLimiter } from '../../src/quota/limiter.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { windowAt } from '../../src/quota/windows.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { goodNetwork, type Process, VirtualTime, World } from './limiter-simulation.ts'
import { runs } from '../../src/testing/sizes.ts'

const counterOf = (id: string, limit: number, more: Partial<Counter> = {}): Counter => ({
  id,
  unit: 'requests',
  limit,
  period: 'day',
  label: id,
  ...more,
})
const one = (counter: Counter, amount = 1): Demand[] => [{ counter, amount }]

function isReservation(reply: unknown): reply is Reservation {
  return typeof reply === 'object' && reply !== null && 'settle' in reply
}

async function reserved(limiter: Limiter, demands: readonly Demand[]): Promise<Reservation> {
  const reply = await limiter.reserve(demands)
  if (!isReservation(reply)) throw new Error(`refused: ${reply.refused.label}`)
  return reply
}

async function refused(limiter: Limiter, demands: readonly Demand[]): Promise<QuotaRefusal> {
  const reply = await limiter.reserve(demands)
  if (isReservation(reply)) throw new Error('it was admitted')
  return reply
}

/** A limiter of one process, over memory. */
function alone(time = new VirtualTime(Date.UTC(2026, 0, 5, 12))) {
  const store = createMemoryStore({ now: () => time.now })
  return { time, limiter: createLimiter({ store, failure: 'closed', clock: time.clock() }) }
}

/** Several processes at a network that loses nothing. */
function together(processes: number, more: ConstructorParameters<typeof World>[0] = { seed: 1 }) {
  const world = new World({ network: goodNetwork, ...more })
  world.start(processes)
  const [first, second] = world.processes
  if (!first) throw new Error('there is one')
  return { world, first, second: second ?? first }
}

describe('one process', () => {
  test('[QUO-9] decides without waiting from held units, and refuses without waiting what is known to be too much', async () => {
    const { limiter } = alone()
    const counter = counterOf('ten', 10)
    await reserved(limiter, one(counter, 4))
    const second = limiter.reserve(one(counter, 6))
    expect(isReservation(second)).toBe(true)
    expect(await refused(limiter, one(counter))).toMatchObject({ refused: { id: 'ten' }, exceedsLimit: false })
    expect(limiter.reserve(one(counter))).toMatchObject({ refused: { id: 'ten' }, exceedsLimit: false, retryAfter: 1000 })
    expect(limiter.reserve(one(counter, 11))).toMatchObject({ exceedsLimit: true })
    expect(isReservation(limiter.reserve(one(counter, 0)))).toBe(true)
  })

  test('[QUO-9] says how long to wait: to the end of the window, or less where running requests may leave something', async () => {
    const { limiter, time } = alone()
    const counter = counterOf('ten', 10)
    const running = await reserved(limiter, one(counter, 10))
    expect((await refused(limiter, one(counter))).retryAfter).toBe(1000)
    running.settle([10])
    expect((await refused(limiter, one(counter))).retryAfter).toBe(Date.UTC(2026, 0, 6) - time.now)
    expect(limiter.status(counter)).toEqual({ limit: 10, remaining: 0, reset: Date.UTC(2026, 0, 6) - time.now })
  })

  test('[QUO-9] what was reserved and not used comes back; settling twice does nothing', async () => {
    const { limiter } = alone()
    const counter = counterOf('hundred', 100)
    const reservation = await reserved(limiter, one(counter, 80))
    expect(limiter.status(counter).remaining).toBe(20)
    reservation.settle([30])
    reservation.settle([0])
    expect(limiter.status(counter).remaining).toBe(70)
    for (const used of [Number.NaN, Infinity, undefined]) {
      const next = await reserved(limiter, one(counter, 10))
      next.settle(used === undefined ? [] : [used])
    }
    expect(limiter.status(counter).remaining).toBe(40)
    const last = await reserved(limiter, one(counter, 10))
    last.settle([-5])
    const fraction = await reserved(limiter, one(counter, 10))
    fraction.settle([1.2])
    expect(limiter.status(counter).remaining).toBe(38)
  })

  test('[QUO-10] a settlement after the end of its window gives nothing to the next one', async () => {
    const { limiter, time } = alone()
    const counter = counterOf('minute', 10, { period: 'minute' })
    const running = await reserved(limiter, one(counter, 10))
    await time.runUntil(time.now + 60_000)
    const next = await reserved(limiter, one(counter, 4))
    running.settle([0])
    expect(limiter.status(counter).remaining).toBe(6)
    next.settle([0])
    expect(limiter.status(counter).remaining).toBe(10)
  })

  test('[QUO-4] what a provider used beyond the reservation is taken from what is left, and then blocks', async () => {
    const { limiter } = alone()
    const counter = counterOf('hundred', 100)
    const reservation = await reserved(limiter, one(counter, 10))
    reservation.settle([60])
    expect(limiter.status(counter).remaining).toBe(40)
    const last = await reserved(limiter, one(counter, 40))
    last.settle([70])
    expect(limiter.status(counter).remaining).toBe(0)
    expect(await refused(limiter, one(counter))).toMatchObject({ exceedsLimit: false })
  })

  test('[QUO-11] takes all demands or none, and names the first that had too little', async () => {
    const { limiter } = alone()
    const [many, few] = [counterOf('many', 100), counterOf('few', 2)]
    const both = [...one(many, 10), ...one(few, 2)]
    await reserved(limiter, both)
    expect(await refused(limiter, both)).toMatchObject({ refused: { id: 'few' } })
    expect(limiter.status(many).remaining).toBe(90)
    const twice = [...one(many, 60), ...one(many, 60)]
    expect(await refused(limiter, twice)).toMatchObject({ refused: { id: 'many' } })
    expect(limiter.status(many).remaining).toBe(90)
  })

  test('[QUO-9] refuses amounts that are none', () => {
    const { limiter } = alone()
    for (const amount of [-1, 1.5, Number.NaN, 2 ** 60])
      expect(() => limiter.reserve(one(counterOf('ten', 10), amount))).toThrow(RangeError)
  })

  test('[QUO-9] a limit that the configuration changes holds from the next request on', async () => {
    const { limiter } = alone()
    await reserved(limiter, one(counterOf('changing', 10), 8))
    await reserved(limiter, one(counterOf('changing', 20), 12))
    expect(await refused(limiter, one(counterOf('changing', 20), 1))).toMatchObject({ exceedsLimit: false })
    expect(await refused(limiter, one(counterOf('changing', 5), 6))).toMatchObject({ exceedsLimit: true })
    expect(limiter.status(counterOf('changing', 5)).remaining).toBe(0)
  })

  test('[QUO-12] unused counters are dropped, and their counts kept as long as their window', async () => {
    const { limiter, time } = alone()
    const counter = counterOf('day', 10)
    const handle = limiter.counter(counter)
    expect(limiter.counter(counter)).toBe(handle)
    const reservation = await reserved(limiter, one(handle, 7))
    reservation.settle([4])
    await time.runUntil(time.now + 60_000)
    const later = limiter.counter(counter)
    expect(later).not.toBe(handle)
    expect(await refused(limiter, one(later, 7))).toMatchObject({ exceedsLimit: false })
    await reserved(limiter, one(handle, 6))
    expect(await refused(limiter, one(counter, 1))).toMatchObject({ exceedsLimit: false })
  })

  test('[QUO-12] any number of subjects leave nothing behind', async () => {
    const time = new VirtualTime(Date.UTC(2026, 0, 5))
    const store = createMemoryStore({ now: () => time.now })
    const limiter = createLimiter({ store, failure: 'closed', clock: time.clock() })
    const kept: number[] = []
    for (let minute = 0; minute < 10; minute++) {
      for (let subject = 0; subject < runs(20_000); subject++) {
        const reservation = await reserved(limiter, one(counterOf(`${minute}-${subject}`, 10, { period: 'second' })))
        reservation.settle([1])
      }
      await time.runUntil(time.now + 120_000)
      kept.push(await objectsOf('UnitCounter'))
    }
    expect(Math.max(...kept)).toBeLessThan(1000)
  }, 60_000)
})

/** How many of them there are, garbage collected. */
async function objectsOf(name: string): Promise<number> {
  const { heapStats } = await import('bun:jsc')
  Bun.gc(true)
  return heapStats().objectTypeCounts[name] ?? 0
}

describe('processes that share', () => {
  const shared = counterOf('shared', 1000, { unit: 'total_tokens' })

  test('[QUO-3] a demand that others hold the rest of waits for them to give back what they do not use', async () => {
    const { world, first, second } = together(2)
    await world.play(first.request(shared, 100))
    expect(world.accountOf(shared).outstanding).toBeGreaterThan(0)
    const left = 1000 - (await world.taken(shared))
    await world.play(second.request(shared, left))
    const begin = world.time.now
    await world.play(second.request(shared, 900 - left))
    expect(world.time.now - begin).toBeLessThanOrEqual(1000)
    expect(world.accountOf(shared)).toMatchObject({ admitted: 1000, outstanding: 0 })
  })

  test('[QUO-3] who was refused while others ran gets what they leave over', async () => {
    const { world, first, second } = together(2)
    void first.request(shared, 1000, { used: 400, duration: 30_000 })
    await world.time.runUntil(world.time.now + 5000)
    await world.play(second.request(shared, 500).then((reply) => expect(reply).toBe('refused')))
    await world.time.runUntil(world.time.now + 27_000)
    await world.play(second.request(shared, 600))
  })

  test('[QUO-3] a refusal is quick where no other process holds units', async () => {
    const { world, first } = together(1)
    await world.play(first.request(shared, 1000))
    const begin = world.time.now
    let took = Infinity
    await world.play(first.request(shared, 1).then(() => (took = world.time.now - begin)))
    expect(took).toBeLessThanOrEqual(4 * goodNetwork.delay)
  })

  test('[QUO-3] near the limit, what is left over goes back at once', async () => {
    const { world, first, second } = together(2)
    void first.request(shared, 800, { used: 100, duration: 1000 })
    await world.time.runUntil(world.time.now + 1000 + 4 * goodNetwork.delay)
    expect(await world.taken(shared)).toBe(100)
    await world.play(second.request(shared, 900))
    expect(second.admitted).toBe(1)
  })

  test('[QUO-9] at a steady pace leases are renewed before they are used up, and no request waits', async () => {
    const { world, first } = together(1)
    const large = counterOf('large', 1_000_000)
    let waited = 0
    const pace = async (requests: number) => {
      for (let at = 0; at < requests; at++) {
        const reply = first.limiter.reserve(one(large))
        if (reply instanceof Promise) waited++
        const reservation = await reply
        if (isReservation(reservation)) reservation.settle([1])
        await world.time.sleep(1)
      }
    }
    await world.play(pace(500))
    waited = 0
    await world.play(pace(5000))
    expect(waited).toBe(0)
  })

  test('[QUO-13] no process takes more than a part of what is left, beyond what it needs', async () => {
    const { world, first } = together(1)
    const large = counterOf('large', 20_000)
    for (let burst = 0; burst < 15; burst++) {
      for (let at = 0; at < 1000; at++) void first.request(large, 1)
      await world.time.runUntil(world.time.now + 10)
      const { admitted, outstanding } = world.accountOf(large)
      expect(outstanding).toBeLessThanOrEqual((20_000 - admitted) / 4)
    }
  })

  test('[QUO-13] leases that lie unused go back within half a second, and at the end at once', async () => {
    const { world, first } = together(1)
    await world.play(first.request(shared, 10))
    expect(world.accountOf(shared).outstanding).toBeGreaterThan(0)
    await world.time.runUntil(world.time.now + 600)
    expect(world.accountOf(shared).outstanding).toBe(0)
    expect(await world.taken(shared)).toBe(10)
    await world.play(first.request(shared, 10))
    await world.play(Promise.resolve(first.limiter[Symbol.asyncDispose]()))
    expect(await world.taken(shared)).toBe(20)
    expect(() => first.limiter.reserve(one(shared))).toThrow(ApiError)
  })

  test('[QUO-13] who has used up a lease and ends leaves nothing behind that others would wait for', async () => {
    const time = new VirtualTime(Date.UTC(2026, 0, 5, 12))
    const store = createMemoryStore({ shared: true, now: () => time.now })
    const limiter = createLimiter({ store, failure: 'closed', clock: time.clock() })
    const counter = counterOf('used up', 8)
    const [taken] = await Promise.all([reserved(limiter, one(counter)), time.runUntil(time.now + 10)])
    const asked = {
      counter: counter.id,
      window: windowAt('day', time.now),
      limit: 8,
      returned: 0,
      owed: 0,
      atLeast: 0,
      wanted: 0,
      leased: 0,
    }
    expect(await store.exchange(asked)).toMatchObject({ leased: 1, remaining: 7 })
    taken.settle([1])
    await Promise.all([limiter[Symbol.asyncDispose](), time.runUntil(time.now + 1000)])
    expect(await store.exchange(asked)).toMatchObject({ leased: 0, remaining: 7 })
  })

  test('[QUO-13] a thousand requests at once, and thousands one after the other, ask the store a few times', async () => {
    const { world, first } = together(1)
    let asked = 0
    const counted = world.store.exchange.bind(world.store)
    Object.assign(world.store, { exchange: (request: StoreExchange) => (asked++, counted(request)) })
    const large = counterOf('large', 1_000_000)
    await world.play(Promise.all(Array.from({ length: 1000 }, () => first.request(large, 1))))
    expect(asked).toBeLessThanOrEqual(6)
    const begin = asked
    const many = async () => {
      for (let at = 0; at < 5000; at++) await first.request(large, 1, { duration: 1 })
    }
    await world.play(many())
    expect(asked - begin).toBeLessThan(100)
    expect(first.admitted).toBe(6000)
  })

  test('[QUO-11] demands of several counters: all or none, without anybody waiting for another for ever', async () => {
    const counters = [counterOf('c', 40), counterOf('a', 60), counterOf('b', 50), counterOf('d', 30)]
    const settings = fc.record({ seed: fc.integer(), processes: fc.integer({ min: 1, max: 5 }), delay: fc.integer({ min: 0, max: 80 }) })
    await fc.assert(
      fc.asyncProperty(settings, async ({ seed, processes, delay }) => {
        const world = new World({ seed, network: { ...goodNetwork, delay } })
        world.start(processes)
        const used = new Map<string, number>()
        let open = 0
        const request = async (process: Process): Promise<void> => {
          const chosen = counters.filter(() => world.random() < 0.6).toSorted(() => world.random() - 0.5)
          const demands = chosen.map((counter) => ({ counter, amount: 1 + world.below(5) }))
          open++
          const reply = await process.limiter.reserve(demands)
          if (isReservation(reply)) {
            for (const { counter, amount } of demands) used.set(counter.id, (used.get(counter.id) ?? 0) + amount)
            for (const { counter } of demands) if ((used.get(counter.id) ?? 0) > counter.limit) world.violations.push(counter.id)
            await world.time.sleep(world.random() * 300)
            const amounts = demands.map(({ amount }) => world.below(amount + 1))
            for (const [at, { counter, amount }] of demands.entries()) {
              used.set(counter.id, (used.get(counter.id) ?? 0) - amount + (amounts[at] ?? 0))
            }
            reply.settle(amounts)
          } else expect(counters).toContain(reply.refused)
          open--
        }
        for (let at = 0; at < 60; at++) {
          const process = world.processes[world.below(processes)]
          if (process) void request(process)
          await world.time.runUntil(world.time.now + world.random() * 100)
        }
        await world.time.runUntil(world.time.now + 5000)
        expect(open).toBe(0)
        for (const counter of counters) expect(await world.taken(counter)).toBe(used.get(counter.id) ?? 0)
        await world.play(Promise.resolve())
      }),
      { numRuns: runs(150) },
    )
  })

  test('[QUO-13] what is left is known from the last contact, before that the whole limit', async () => {
    const { world, first, second } = together(2)
    expect(first.limiter.status(shared)).toMatchObject({ limit: 1000, remaining: 1000 })
    await world.play(first.request(shared, 300))
    await world.play(second.request(shared, 100))
    expect(second.limiter.status(shared).remaining).toBeLessThanOrEqual(600)
    expect(first.limiter.status(shared).remaining).toBe(700)
  })
})

describe('a clock that is not right', () => {
  test('[QUO-8] a process that is behind counts in the window that is past for others, and one far behind is refused with 503', async () => {
    const world = new World({ seed: 1, start: Date.UTC(2026, 0, 5, 12, 0, 30) })
    world.start(2, (index) => () => (index === 0 ? -50_000 : -200_000))
    const [late, lost] = world.processes
    const minute = counterOf('minute', 3, { period: 'minute' })
    for (let at = 0; at < 3; at++) await world.play(late?.request(minute, 1) ?? Promise.reject(new Error('there is one')))
    expect(late).toMatchObject({ admitted: 3, refused: 0, failed: 0 })
    const failure = failureOf(Promise.resolve(lost?.limiter.reserve(one(minute))))
    await world.play(failure)
    expect(await failure).toMatchObject({ status: 503 })
    // Windows that are not over go on.
    await world.play(lost?.request(counterOf('day', 10), 1) ?? Promise.reject(new Error('there is one')))
    expect(lost).toMatchObject({ admitted: 1, failed: 0 })
  })
})
