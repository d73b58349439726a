import { describe, expect, test } from 'bun:test'
import type { Counter, QuotaRefusal, Reservation } from '../../src/quota/counters.ts'
import { AbandonedUnits } from '../../src/quota/abandoned-units.ts'
import { type Process, World } from './limiter-simulation.ts'

const budget: Counter = { id: 'budget', unit: 'nano_dollars', limit: 1000, period: 'day', label: 'budget' }
const toEnd = (world: World) => Date.UTC(2026, 0, 6) - world.time.now

/** A process's refusal of a request for `amount`. */
async function refusalOf(process: Process, amount: number): Promise<QuotaRefusal> {
  const reply: Reservation | QuotaRefusal = await process.limiter.reserve([{ counter: budget, amount }])
  if (!('refused' in reply)) throw new Error('it was admitted')
  return reply
}

describe('a process dies with its lease', () => {
  test('[QUO-3] a refused caller gets a short retry time for some seconds, and then that it is used up', async () => {
    const world = new World({ seed: 1 })
    world.start(2)
    const [victim, heir] = world.processes as [Process, Process]
    await world.play(victim.request(budget, 50))
    victim.kill()
    const left = 1000 - (await world.taken(budget))
    expect(left).toBeLessThan(950)
    await world.play(heir.request(budget, left))
    const waits: number[] = []
    const ask = async () => {
      for (let second = 0; second < 15; second++) {
        const { retryAfter } = await refusalOf(heir, 20)
        waits.push(retryAfter < toEnd(world) ? retryAfter : Infinity)
        await world.time.sleep(1000)
      }
    }
    await world.play(ask())
    expect(waits[0]).toBe(1000)
    expect(waits.slice(8)).toEqual(Array.from({ length: 7 }, () => Infinity))
  })

  test('[QUO-3] what comes back late all the same is there for the next', async () => {
    const world = new World({ seed: 2 })
    world.start(2)
    const [slow, heir] = world.processes as [Process, Process]
    await world.play(slow.request(budget, 50))
    slow.stall(20_000)
    const left = 1000 - (await world.taken(budget))
    await world.play(heir.request(budget, left))
    const ask = async () => {
      for (let second = 0; second < 10; second++) {
        await refusalOf(heir, 20)
        await world.time.sleep(1000)
      }
      expect((await refusalOf(heir, 20)).retryAfter).toBe(toEnd(world))
    }
    await world.play(ask())
    await world.time.runUntil(world.time.now + 25_000)
    await world.play(heir.request(budget, 20).then((reply) => expect(reply).toBe('admitted')))
  })
})

test('what is written off: the least that was held for five seconds of refusals', () => {
  const lost = new AbandonedUnits()
  lost.observe(100, 0, false)
  lost.observe(100, 60_000, false)
  expect(lost.units).toBe(0)
  lost.observe(100, 61_000, true)
  lost.observe(70, 63_000, true)
  lost.observe(90, 65_999, true)
  expect(lost.units).toBe(0)
  lost.observe(90, 66_000, true)
  expect(lost.units).toBe(70)
  lost.observe(120, 68_000, true)
  lost.observe(120, 71_000, true)
  expect(lost.units).toBe(90)
  lost.observe(40, 71_500, false)
  expect(lost.units).toBe(40)
  lost.clear()
  expect(lost.units).toBe(0)
})
