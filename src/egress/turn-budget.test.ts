import { expect, test } from 'bun:test'
import { array, assert, asyncProperty, integer } from 'fast-check'
import { TurnBudget } from './turn-budget.ts'

interface Controlled {
  budget: TurnBudget
  clock: { now: number }
  /** Runs the next turn, if one was requested, and everything that it resumed. */
  turn: () => Promise<boolean>
}

/** A budget whose turns and clock the test controls. */
function controlled(options: { maxBytes: number; maxTime?: number }): Controlled {
  let pending: (() => void) | undefined
  const turn = async (): Promise<boolean> => {
    const run = pending
    pending = undefined
    run?.()
    await new Promise((resolve) => setImmediate(resolve))
    return run !== undefined
  }
  const clock = { now: 0 }
  const budget = new TurnBudget({
    maxTime: Infinity,
    ...options,
    now: () => clock.now,
    nextTurn: (run) => {
      expect(pending).toBeUndefined()
      pending = run
    },
  })
  return { budget, clock, turn }
}

test('[FAI-1] readers go on in the order in which they asked, and a turn holds no more than its bytes and one slice', async () => {
  const sizes = array(integer({ min: 1, max: 16_384 }), { minLength: 1, maxLength: 60 })
  await assert(
    asyncProperty(sizes, integer({ min: 16_384, max: 131_072 }), async (all, maxBytes) => {
      const { budget, turn } = controlled({ maxBytes })
      const order: number[] = []
      let inTurn = 0
      const read = async (bytes: number, index: number): Promise<void> => {
        const wait = budget.take(bytes)
        if (wait) await wait
        order.push(index)
        inTurn += bytes
      }
      const reading = all.map(read)
      do {
        await Promise.resolve()
        expect(inTurn).toBeLessThan(maxBytes + 16_384)
        inTurn = 0
      } while (await turn())
      await Promise.all(reading)
      expect(order).toEqual(all.map((_, index) => index))
    }),
    { numRuns: 40 },
  )
})

test('[FAI-1] a turn ends after its time, which counts from half of its bytes on', async () => {
  const { budget, clock, turn } = controlled({ maxBytes: 30_000, maxTime: 5 })
  expect(budget.take(16_000)).toBeUndefined()
  clock.now = 4.9
  expect(budget.take(1)).toBeUndefined()
  clock.now = 5
  const waiting = budget.take(1)
  expect(waiting).toBeInstanceOf(Promise)
  await turn()
  await waiting
  expect(budget.take(1)).toBeUndefined()
})

test('[FAI-1] bytes that take long to relay get smaller turns, and larger ones again once they do not', async () => {
  const { budget, clock, turn } = controlled({ maxBytes: 131_072, maxTime: 5 })
  let resumed = 0
  const crowd = (count: number): void => {
    for (let reader = 0; reader < count; reader += 1) void budget.take(16_384)?.then(() => (resumed += 1))
  }
  const perTurn = async (time: number): Promise<number> => {
    resumed = 0
    await turn()
    clock.now += time
    return resumed
  }
  crowd(1000)
  const slow = [await perTurn(20), await perTurn(20), await perTurn(20), await perTurn(20), await perTurn(20)]
  expect(slow).toEqual([8, 4, 2, 1, 1])
  const quick = [await perTurn(1), await perTurn(1), await perTurn(1), await perTurn(1), await perTurn(1)]
  expect(quick).toEqual([1, 2, 4, 8, 8])
})

test('[FAI-1] no turn is requested for the first half of the bytes', async () => {
  const { budget, turn } = controlled({ maxBytes: 1000 })
  for (let read = 0; read < 4; read += 1) expect(budget.take(100)).toBeUndefined()
  expect(await turn()).toBe(false)
  expect(budget.take(100)).toBeUndefined()
  expect(await turn()).toBe(true)
  expect(budget.take(900)).toBeUndefined()
})
