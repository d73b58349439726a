import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Counter, Reservation } from '../../src/quota/counters.ts'
import { goodNetwork, type Process, World } from './limiter-simulation.ts'
import { runs } from '../../src/testing/sizes.ts'

const slotsOf = (limit: number): Counter => ({ id: 'slots', unit: 'slots', limit, period: 'minute', label: `${limit} at a time` })

/** Who runs how many, seen from outside. */
class Running {
  readonly #world: World
  readonly #counter: Counter
  readonly #running = new Map<Process, number>()
  /** Processes whose hold has run out while they were running something: what they run may be others' by now. */
  readonly #lost = new Set<Process>()

  get lost(): number {
    return this.#lost.size
  }

  constructor(world: World, counter: Counter) {
    this.#world = world
    this.#counter = counter
  }

  of(process: Process): number {
    return this.#running.get(process) ?? 0
  }

  async request(process: Process, duration: number): Promise<'admitted' | 'refused' | 'failed'> {
    const reservation = await this.#reserve(process)
    if (typeof reservation === 'string') return reservation
    await this.#world.time.sleep(duration)
    if (process.isDead) return 'admitted'
    while (process.isStalled) await this.#world.time.sleep(100)
    this.#running.set(process, this.of(process) - 1)
    reservation.settle([1])
    return 'admitted'
  }

  async #reserve(process: Process): Promise<Reservation | 'refused' | 'failed'> {
    try {
      const reply = await process.limiter.reserve([{ counter: this.#counter, amount: 1 }])
      if ('refused' in reply) return 'refused'
      this.#running.set(process, this.of(process) + 1)
      this.#check(process)
      return reply
    } catch {
      return 'failed'
    }
  }

  #check(admitting: Process): void {
    const { violations, processes, time } = this.#world
    if (time.now >= admitting.held.until) violations.push('admitted after its hold had run out')
    if (this.of(admitting) > admitting.held.slots) violations.push('admitted more than it holds')
    let sum = 0
    for (const process of processes) {
      const isHeld = time.now < process.held.until
      if (!isHeld && this.of(process) > 0) this.#lost.add(process)
      sum += this.#lost.has(process) ? Math.min(this.of(process), isHeld ? process.held.slots : 0) : this.of(process)
    }
    if (sum > this.#counter.limit) violations.push(`${sum} of ${this.#counter.limit} run at a time`)
  }
}

const settings = fc.record({
  seed: fc.integer(),
  processes: fc.integer({ min: 1, max: 5 }),
  limit: fc.integer({ min: 1, max: 30 }),
  max: fc.constantFrom(50, 500, 5000, 30_000),
  gap: fc.constantFrom(10, 100),
})

async function demand(world: World, running: Running, { until, gap, max }: { until: number; gap: number; max: number }) {
  while (world.time.now < until) {
    const process = world.processes[world.below(world.processes.length)]
    if (process && !process.isDead && !process.isStalled) void running.request(process, world.random() * max)
    await world.time.sleep(world.random() * gap)
  }
}

/** One process asks for all there are, until it has them. */
async function takeAll(world: World, counter: Counter, process: Process, within: number): Promise<number> {
  const end = world.time.now + within
  let held = 0
  while (held < counter.limit && world.time.now < end) {
    const reply = await process.limiter.reserve([{ counter, amount: 1 }])
    if ('settle' in reply) held++
    else await world.time.sleep(50)
  }
  return held
}

describe('slots of running requests', () => {
  test('[QUO-5] who was refused gets what others free later', async () => {
    const world = new World({ seed: 1 })
    world.start(2)
    const counter = slotsOf(3)
    const running = new Running(world, counter)
    const [first, second] = world.processes
    if (!first || !second) throw new Error('there are two')
    for (let at = 0; at < 3; at++) void running.request(first, 4000)
    await world.time.runUntil(world.time.now + 1000)
    for (let at = 0; at < 3; at++) await world.play(running.request(second, 0).then((reply) => expect(reply).toBe('refused')))
    await world.time.runUntil(world.time.now + 2500)
    await world.play(running.request(second, 0).then((reply) => expect(reply).toBe('admitted')))
  })

  test('[QUO-5] never more run at a time than the limit says, and every caller can get all slots', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.integer({ min: 0, max: 60 }), async ({ seed, processes, limit, max, gap }, delay) => {
        const world = new World({ seed, network: { ...goodNetwork, delay } })
        const counter = slotsOf(limit)
        world.start(processes)
        const running = new Running(world, counter)
        await world.play(demand(world, running, { until: world.time.now + 5000, gap, max }))
        await world.time.runUntil(world.time.now + max + 1000)
        const [first] = world.processes
        let held = 0
        if (first) await world.play(takeAll(world, counter, first, 30 * delay + 100 * limit).then((count) => (held = count)))
        expect({ held, lost: running.lost }).toEqual({ held: limit, lost: 0 })
      }),
      { numRuns: runs(200) },
    )
  })

  test('[QUO-5] [QUO-6] killed, stalled and cut off processes: a process that could not renew admits none, and its slots come back', async () => {
    const network = fc.record({
      delay: fc.integer({ min: 0, max: 300 }),
      late: fc.double({ min: 0, max: 0.1, noNaN: true }),
      stuck: fc.double({ min: 0, max: 0.2, noNaN: true }),
      lostRequest: fc.double({ min: 0, max: 0.5, noNaN: true }),
      lostReply: fc.double({ min: 0, max: 0.5, noNaN: true }),
      silence: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    const accident = fc.record({ at: fc.integer({ min: 0, max: 20_000 }), stall: fc.option(fc.integer({ min: 1000, max: 25_000 })) })
    await fc.assert(
      fc.asyncProperty(settings, network, fc.array(accident, { maxLength: 4 }), async ({ seed, processes, limit, gap }, bad, accidents) => {
        const world = new World({ seed, network: bad })
        const counter = slotsOf(limit)
        world.start(processes + 1)
        const running = new Running(world, counter)
        for (const [index, { at, stall }] of accidents.entries()) {
          const victim = world.processes[index + 1]
          world.time.after(at, () => (stall === null ? victim?.kill() : victim?.stall(stall)))
        }
        await world.play(demand(world, running, { until: world.time.now + 25_000, gap: gap * 5, max: 8000 }))
        world.network = goodNetwork
        await world.time.runUntil(world.time.now + 50_000)
        const [first] = world.processes
        let held = 0
        if (first) await world.play(takeAll(world, counter, first, 30_000).then((count) => (held = count)))
        expect(held).toBe(limit)
      }),
      { numRuns: runs(200) },
    )
  })
})
