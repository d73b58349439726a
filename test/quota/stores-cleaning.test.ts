import { describe, expect, test } from 'bun:test'
import { createSqlStore } from '../../src/quota/stores/sql.ts'
import { windowAt } from '../../src/quota/windows.ts'
import { engines } from '../../src/testing/engines.ts'

for (const engine of engines) {
  describe(`what is over, in ${engine.name}`, () => {
    test('[QUO-12] windows and holds that count no more are deleted in batches, all others kept', async () => {
      await using database = await engine.open()
      await using store = createSqlStore(database)
      const now = Date.now()
      const row = { taken: 1, granted: 1, leased: 0, wanted_until: 0 }
      const windows = [
        ...Array.from({ length: 1234 }, (_, at) => ({ counter: `old ${at}`, window: windowAt('minute', now - 180_000) })),
        { counter: 'old hour', window: windowAt('hour', now - 3 * 3_600_000) },
        { counter: 'last minute', window: { start: now - 70_000, end: now - 10_000 } },
        { counter: 'last hour', window: { start: now - 5_000_000, end: now - 1_400_000 } },
        { counter: 'this month', window: windowAt('month', now) },
        { counter: 'next minute', window: windowAt('minute', now + 60_000) },
      ]
      const holders = [
        ...Array.from({ length: 700 }, (_, at) => ({ holder: `old ${at}`, until: now - 120_000 })),
        { holder: 'just over', until: now - 10_000 },
        { holder: 'alive', until: now + 10_000 },
      ]
      await database.write(async (transaction) => {
        const counters = windows.map(({ counter, window: { start, end } }) => ({ ...row, counter, window_start: start, window_end: end }))
        for (let at = 0; at < counters.length; at += 500) {
          await transaction
            .insertInto('quota_counters')
            .values(counters.slice(at, at + 500))
            .execute()
        }
        const held = holders.map((holder) => ({ ...holder, counter: 'slots', held: 1, sequence: 1 }))
        await transaction.insertInto('quota_holders').values(held).execute()
      })
      expect(await store.clean()).toBe(1235 + 700)
      expect(await store.clean()).toBe(0)
      const left = await database.read.selectFrom('quota_counters').select('counter').orderBy('counter').execute()
      expect(left.map(({ counter }) => counter)).toEqual(['last hour', 'last minute', 'next minute', 'this month'])
      const alive = await database.read.selectFrom('quota_holders').select('holder').orderBy('holder').execute()
      expect(alive.map(({ holder }) => holder)).toEqual(['alive', 'just over'])
    })

    test('[QUO-12] cleaning goes on by itself', async () => {
      await using database = await engine.open()
      await database.write(async (transaction) => {
        const old = { counter: 'old', window_start: 0, window_end: 1000, taken: 1, granted: 1, leased: 0, wanted_until: 0 }
        await transaction.insertInto('quota_counters').values(old).execute()
      })
      await using store = createSqlStore(database, { cleanInterval: 20 })
      expect(store.shared).toBe(true)
      const left = () => database.read.selectFrom('quota_counters').select('counter').execute()
      while ((await left()).length > 0) await Bun.sleep(5)
    })
  })
}
