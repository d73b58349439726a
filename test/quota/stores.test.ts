import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { type StoreExchange, type HoldRequest, WindowExpired } from '../../src/quota/counters.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { windowAt } from '../../src/quota/windows.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { stores } from './stores.ts'

const window = windowAt('month', Date.now())
const nothing = { returned: 0, owed: 0, atLeast: 0, wanted: 0, leased: 0 }
const ask = (counter: string, limit: number, more: Partial<StoreExchange>): StoreExchange => ({
  counter,
  window,
  limit,
  ...nothing,
  ...more,
})

/** One unit of a minute that ended so many milliseconds ago. */
const minuteBefore = (ago: number): StoreExchange => {
  const end = Date.now() - ago
  return { ...ask('units', 5, { atLeast: 1, wanted: 1 }), window: { start: end - 60_000, end } }
}

const exchanges = fc.record({
  returned: fc.nat(40),
  owed: fc.oneof(fc.constant(0), fc.nat(50)),
  atLeast: fc.nat(30),
  extra: fc.nat(2 ** 40),
  leased: fc.integer({ min: -50, max: 50 }),
})
const holds = fc.record({ holder: fc.constantFrom('a', 'b', 'c'), parts: fc.tuple(fc.nat(4), fc.nat(4), fc.nat(4)), late: fc.boolean() })
const limits = fc.oneof(fc.nat(300), fc.integer({ min: 2 ** 45, max: 2 ** 52 }))

for (const kind of stores) {
  describe(`counts in ${kind.name}`, () => {
    test('[QUO-7] replies as the rules say, for every request', async () => {
      await using place = await kind.place()
      const store = await place.open({ contentionPeriod: 600_000 })
      let run = 0
      await fc.assert(
        fc.asyncProperty(limits, fc.array(exchanges, { maxLength: 12 }), async (limit, requests) => {
          const counter = `units ${run++}`
          const model = createMemoryStore({ shared: true, contentionPeriod: 600_000 })
          for (const { atLeast, extra, ...rest } of requests) {
            const request = ask(counter, limit, { ...rest, atLeast, wanted: atLeast + extra })
            expect(await store.exchange(request)).toEqual(await model.exchange(request))
          }
        }),
        { numRuns: 60 },
      )
      await fc.assert(
        fc.asyncProperty(fc.nat(12), fc.array(holds, { maxLength: 12 }), async (limit, requests) => {
          const counter = `slots ${run++}`
          const model = createMemoryStore({ shared: true, contentionPeriod: 600_000 })
          for (const [index, { holder, parts, late }] of requests.entries()) {
            const [keep, need, more] = parts
            const sequence = late ? 1 : index + 2
            const request: HoldRequest = {
              counter,
              holder,
              limit,
              keep,
              atLeast: keep + need,
              slots: keep + need + more,
              ttl: 600_000,
              sequence,
            }
            expect(await store.hold(request)).toEqual(await model.hold(request))
          }
        }),
        { numRuns: 60 },
      )
    }, 60_000)

    test('[QUO-7] many processes at once take exactly the limit', async () => {
      await using place = await kind.place()
      const connections = await Promise.all([place.open(), place.open(), place.open(), place.open()])
      const limit = 2000
      let taken = 0
      const taker = async (index: number): Promise<void> => {
        const store = connections[index % connections.length]
        for (;;) {
          const atLeast = 1 + (index % 3)
          const reply = await store?.exchange(ask('shared', limit, { atLeast, wanted: atLeast + 20 }))
          if (!reply || reply.taken === 0) return
          taken += reply.taken
          const returned = reply.taken > 5 ? 3 : 0
          taken -= returned
          if (returned > 0) await store?.exchange(ask('shared', limit, { returned }))
        }
      }
      await Promise.all(Array.from({ length: 24 }, (_, index) => taker(index)))
      await taker(0)
      expect(taken).toBe(limit)
      const [store] = connections
      expect(await store?.exchange(ask('shared', limit, {}))).toMatchObject({ taken: 0, remaining: 0 })
    }, 60_000)

    test('[QUO-5] [QUO-7] many holders at once never hold more slots than the limit, and not one is lost', async () => {
      await using place = await kind.place()
      const connections = await Promise.all([place.open(), place.open(), place.open(), place.open()])
      const held = new Map<string, number>()
      const sum = () => [...held.values()].reduce((total, count) => total + count, 0)
      const hold = async (name: string, slots: number, { sequence, index = 0 }: { sequence: number; index?: number }) => {
        // What may go to others from now on is not counted on any more.
        const keep = Math.min(held.get(name) ?? 0, slots)
        held.set(name, keep)
        const request = { counter: 'slots', holder: name, limit: 20, keep, atLeast: slots, slots, ttl: 600_000, sequence }
        const reply = await connections[index % connections.length]?.hold(request)
        held.set(name, reply?.held ?? 0)
        expect(sum()).toBeLessThanOrEqual(20)
      }
      const holder = async (index: number): Promise<void> => {
        // Who holds how much at the end depends on who came first: what they ask for last is 48 together.
        for (let sequence = 1; sequence <= 25; sequence++) {
          await hold(`holder ${index}`, (sequence * 7 + index * 3) % 9, { sequence, index })
        }
      }
      await Promise.all(Array.from({ length: 12 }, (_, index) => holder(index)))
      const left = 20 - sum()
      await hold('whoever comes last', left + 1, { sequence: 1 })
      expect(held.get('whoever comes last')).toBe(0)
      await hold('whoever comes last', left, { sequence: 2 })
      expect(held.get('whoever comes last')).toBe(left)
    }, 60_000)

    test('[QUO-6] a hold that is not renewed is void, and a refusal is forgotten in time', async () => {
      await using place = await kind.place()
      const store = await place.open({ contentionPeriod: 200 })
      const request = { counter: 'slots', limit: 3, keep: 0, atLeast: 3, slots: 3, ttl: 300, sequence: 1 }
      expect(await store.hold({ ...request, holder: 'dead' })).toEqual({ held: 3, others: 0, contended: false })
      expect(await store.hold({ ...request, holder: 'live' })).toEqual({ held: 0, others: 3, contended: true })
      let sequence = 1
      let reply = { held: 0, others: 3, contended: true }
      while (reply.held < 3) reply = await store.hold({ ...request, holder: 'live', sequence: ++sequence })
      expect(reply.others).toBe(0)
      expect(await store.exchange(ask('units', 5, { atLeast: 6, wanted: 6 }))).toMatchObject({ taken: 0, contended: true })
      while ((await store.exchange(ask('units', 5, {}))).contended);
    })

    test('[QUO-8] a window that has been over for long is refused, one that has just ended is not', async () => {
      await using place = await kind.place()
      const store = await place.open()
      expect((await store.exchange(minuteBefore(20_000))).taken).toBe(1)
      expect(await failureOf(store.exchange(minuteBefore(60_001)))).toBeInstanceOf(WindowExpired)
      expect((await store.exchange(minuteBefore(-180_000))).taken).toBe(1)
    })

    test('[QUO-7] servers of different namespaces do not meet', async () => {
      await using place = await kind.place()
      const [one, other] = [await place.open({ namespace: 'one' }), await place.open({ namespace: 'other' })]
      expect(await one.exchange(ask('units', 5, { atLeast: 5, wanted: 5 }))).toMatchObject({ taken: 5, remaining: 0 })
      expect(await other.exchange(ask('units', 5, { atLeast: 5, wanted: 5 }))).toMatchObject({ taken: 5, remaining: 0 })
    })
  })
}
