import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ApiError } from '../../../child-contract.ts'
import { SlotPool, type SlotLease } from './slots.ts'

const never = new AbortController().signal

describe('slots', () => {
  test('the preferred free one is given', async () => {
    const pool = new SlotPool([1, 2, 3], 0)
    expect((await pool.acquire(never, (slot) => (slot === 2 ? 1 : 0))).slot).toBe(2)
  })

  test('waiters are served in order of arrival', async () => {
    const pool = new SlotPool(['a'], 2)
    const first = await pool.acquire(never)
    const order: number[] = []
    const second = pool.acquire(never).then((lease) => (order.push(2), lease))
    const third = pool.acquire(never).then((lease) => (order.push(3), lease))
    expect(await pool.acquire(never).catch((error: unknown) => error)).toBeInstanceOf(ApiError)
    first[Symbol.dispose]()
    ;(await second)[Symbol.dispose]()
    ;(await third)[Symbol.dispose]()
    expect(order).toEqual([2, 3])
    expect(pool.counts).toEqual({ slots: 1, busy: 0, waiting: 0 })
  })

  test('a lease is given back once, however often it is disposed', async () => {
    const pool = new SlotPool(['a', 'b'], 0)
    const lease = await pool.acquire(never)
    lease[Symbol.dispose]()
    lease[Symbol.dispose]()
    expect(pool.counts.busy).toBe(0)
    await pool.acquire(never)
    await pool.acquire(never)
    expect(await pool.acquire(never).catch((error: unknown) => error)).toBeInstanceOf(ApiError)
  })

  test('for any sequence of calls, no slot is lost and none is leased twice', async () => {
    const step = fc.record({ act: fc.constantFrom('take', 'give', 'leave'), pick: fc.nat(20) })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        async (slots, queue, steps) => {
          const pool = new SlotPool(
            Array.from({ length: slots }, (_, at) => at),
            queue,
          )
          const held: SlotLease<number>[] = []
          const callers: AbortController[] = []
          for (const { act, pick } of steps) {
            if (act === 'take') {
              const caller = new AbortController()
              callers.push(caller)
              pool.acquire(caller.signal).then(
                (lease) => held.push(lease),
                () => undefined,
              )
            } else if (act === 'give') held.splice(pick % Math.max(held.length, 1), 1)[0]?.[Symbol.dispose]()
            else callers[pick % Math.max(callers.length, 1)]?.abort()
            await new Promise(setImmediate)
            const { busy, waiting } = pool.counts
            expect(busy).toBe(held.length)
            expect(new Set(held.map(({ slot }) => slot)).size).toBe(held.length)
            expect(waiting).toBeLessThanOrEqual(queue)
            if (waiting > 0) expect(busy).toBe(slots)
          }
        },
      ),
      { numRuns: 50 },
    )
  })
})
