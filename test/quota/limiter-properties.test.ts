import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Counter } from '../../src/quota/counters.ts'
import { goodNetwork, type Network, World } from './limiter-simulation.ts'
import { runs } from '../../src/testing/sizes.ts'

const counterOf = (limit: number, period: Counter['period'] = 'day'): Counter => ({
  id: `counter-${period}`,
  unit: 'total_tokens',
  limit,
  period,
  label: `${limit} a ${period}`,
})

interface Demands {
  readonly until: number
  /** Milliseconds between two requests, and for which one runs, at most. */
  readonly gap: number
  readonly maxDuration: number
  readonly max: number
  /** The part of requests that use more than they reserved. */
  readonly excess?: number
  readonly weights: readonly number[]
}

/** Demand of every kind: `weights` says how much of it which process gets. */
async function demand(world: World, counter: Counter, options: Demands) {
  const total = options.weights.reduce((sum, weight) => sum + weight, 0)
  while (world.time.now < options.until) {
    let at = world.random() * total
    const index = options.weights.findIndex((weight) => (at -= weight) < 0)
    const process = world.processes[index]
    if (process && !process.isDead) {
      const amount = 1 + world.below(options.max)
      const isMore = options.excess !== undefined && world.random() < options.excess
      const used = isMore ? amount + world.below(amount) : world.below(amount + 1)
      void process.request(counter, amount, { used, duration: world.random() * options.maxDuration })
    }
    await world.time.sleep(world.random() * options.gap)
  }
}

/** Requests single units, by those processes, until none gets any for a while. */
async function exhaust(world: World, counter: Counter, processes = world.processes) {
  for (let refusedSince = world.time.now; world.time.now - refusedSince < 10_000;) {
    for (const process of processes)
      if (!process.isDead && (await process.request(counter, 1)) === 'admitted') refusedSince = world.time.now
    await world.time.sleep(20)
  }
}

const badNetwork: fc.Arbitrary<Network> = fc.record({
  delay: fc.integer({ min: 0, max: 200 }),
  late: fc.double({ min: 0, max: 0.1, noNaN: true }),
  stuck: fc.double({ min: 0, max: 0.1, noNaN: true }),
  lostRequest: fc.double({ min: 0, max: 0.2, noNaN: true }),
  lostReply: fc.double({ min: 0, max: 0.2, noNaN: true }),
  silence: fc.double({ min: 0, max: 1, noNaN: true }),
})

const settings = fc.record({
  seed: fc.integer(),
  processes: fc.integer({ min: 1, max: 6 }),
  limit: fc.integer({ min: 1, max: 3000 }),
  max: fc.integer({ min: 1, max: 60 }),
  maxDuration: fc.constantFrom(0, 400, 4000),
  skewed: fc.boolean(),
})

const weightsOf = (processes: number, skewed: boolean) => Array.from({ length: processes }, (_, index) => (skewed && index > 0 ? 0.02 : 1))

describe('a limit that processes share, over any order of events', () => {
  test('[QUO-3] with demand enough, even or skewed, exactly the limit is admitted', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.integer({ min: 0, max: 100 }), async ({ seed, processes, limit, max, maxDuration, skewed }, delay) => {
        const world = new World({ seed, network: { ...goodNetwork, delay } })
        const counter = counterOf(limit)
        world.start(processes)
        const weights = weightsOf(processes, skewed)
        await world.play(demand(world, counter, { until: world.time.now + 3000, gap: 30, maxDuration, max, weights }))
        await world.play(exhaust(world, counter, skewed ? world.processes.slice(0, 1) : world.processes))
        expect(world.accountOf(counter)).toEqual({ admitted: limit, excess: 0, writtenOff: 0, outstanding: 0 })
      }),
      { numRuns: runs(300) },
    )
  })

  test('[QUO-1] [QUO-2] with messages lost and processes killed, what was admitted and what was written off is exactly the limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        badNetwork,
        fc.integer({ min: 0, max: 5 }),
        async ({ seed, processes, limit, max, maxDuration, skewed }, network, kills) => {
          const world = new World({ seed, network })
          const counter = counterOf(limit)
          world.start(processes)
          for (let killed = 0; killed < Math.min(kills, processes - 1); killed++) {
            const victim = world.processes[killed]
            world.time.after(world.random() * 3000, () => victim?.kill())
          }
          await world.play(
            demand(world, counter, { until: world.time.now + 3000, gap: 20, maxDuration, max, weights: weightsOf(processes, skewed) }),
          )
          world.network = goodNetwork
          await world.time.runUntil(world.time.now + 5000)
          await world.play(exhaust(world, counter))
          const { admitted, writtenOff, outstanding } = world.accountOf(counter)
          expect({ total: admitted + writtenOff, outstanding, taken: await world.taken(counter) }).toEqual({
            total: limit,
            outstanding: 0,
            taken: limit,
          })
        },
      ),
      { numRuns: runs(400) },
    )
  })

  test('[QUO-1] [QUO-4] no window is ever above its limit, whatever the clocks, the network and what is used beyond a reservation', async () => {
    const clocks = fc.array(
      fc.record({
        skew: fc.integer({ min: -20_000, max: 20_000 }),
        jump: fc.integer({ min: -30_000, max: 30_000 }),
        at: fc.integer({ min: 0, max: 6000 }),
      }),
      { minLength: 6, maxLength: 6 },
    )
    const period = fc.constantFrom<Counter['period']>('second', 'minute', 'hour')
    await fc.assert(
      fc.asyncProperty(
        settings,
        badNetwork,
        period,
        clocks,
        async ({ seed, processes, limit, max, maxDuration, skewed }, network, every, skews) => {
          const world = new World({ seed, network })
          const begin = world.time.now
          world.start(processes, (index) => {
            const { skew, jump, at } = skews[index] ?? { skew: 0, jump: 0, at: 0 }
            return () => skew + (world.time.now > begin + at ? jump : 0)
          })
          const counter = counterOf(limit, every)
          const weights = weightsOf(processes, skewed)
          await world.play(demand(world, counter, { until: begin + 6000, gap: 20, maxDuration, max, excess: 0.2, weights }))
        },
      ),
      { numRuns: runs(400) },
    )
  })

  test('[QUO-4] what is used beyond a reservation is counted, and nothing more admitted until it is paid', async () => {
    await fc.assert(
      fc.asyncProperty(settings, async ({ seed, processes, limit, max, maxDuration, skewed }) => {
        const world = new World({ seed })
        const counter = counterOf(limit)
        world.start(processes)
        const weights = weightsOf(processes, skewed)
        await world.play(demand(world, counter, { until: world.time.now + 3000, gap: 30, maxDuration, max, excess: 0.5, weights }))
        await world.time.runUntil(world.time.now + 6000)
        const { admitted } = world.accountOf(counter)
        expect(await world.taken(counter)).toBe(admitted)
        await world.play(exhaust(world, counter))
        expect(world.accountOf(counter)).toMatchObject({ admitted: Math.max(limit, admitted), writtenOff: 0 })
      }),
      { numRuns: runs(200) },
    )
  })
})
