import { describe, expect, test } from 'bun:test'
import { sql } from 'kysely'
import { ApiError } from '../../src/errors.ts'
import type { Database, Transaction } from '../../src/storage/database.ts'
import { isUniqueViolation } from '../../src/storage/open.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'

const put = (transaction: Transaction, scope: string, value = 1) => transaction.insertInto('revisions').values({ scope, value }).execute()

const scopes = async (database: Database): Promise<string[]> =>
  (await database.read.selectFrom('revisions').select('scope').orderBy('scope').execute()).map(({ scope }) => scope)

const raise = (transaction: Transaction, scope: string) =>
  transaction
    .updateTable('revisions')
    .set(({ eb }) => ({ value: eb('value', '+', 1) }))
    .where('scope', '=', scope)
    .execute()

for (const engine of engines) {
  describe(engine.name, () => {
    test('[STO-10] many transactions at once: each whole or not at all, failures alone', async () => {
      await using database = await engine.open()
      const names = Array.from({ length: 300 }, (_, n) => String(n).padStart(3, '0'))
      const outcomes = await Promise.allSettled(
        names.map((name, n) =>
          database.write(async (transaction) => {
            await put(transaction, `${name} first`)
            if (n % 7 === 3) throw new Error('changed my mind')
            if (n % 11 === 5) await put(transaction, `${name} first`)
            await put(transaction, `${name} second`)
            return name
          }),
        ),
      )
      const kept = names.filter((_, n) => n % 7 !== 3 && n % 11 !== 5)
      expect(outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))).toEqual(kept)
      expect(await scopes(database)).toEqual(kept.flatMap((name) => [`${name} first`, `${name} second`]))
    })

    test('[STO-10] counting in transactions loses nothing', async () => {
      await using database = await engine.open()
      await database.write((transaction) => put(transaction, 'count', 0))
      await Promise.all(
        Array.from({ length: 200 }, () =>
          database.write((transaction) =>
            transaction
              .updateTable('revisions')
              .set(({ eb }) => ({ value: eb('value', '+', 1) }))
              .where('scope', '=', 'count')
              .execute(),
          ),
        ),
      )
      // Reading first, and writing what was read, takes the stricter isolation.
      await Promise.all(
        Array.from({ length: 10 }, () =>
          database.write(
            async (transaction) => {
              const { value } = await transaction
                .selectFrom('revisions')
                .select('value')
                .where('scope', '=', 'count')
                .executeTakeFirstOrThrow()
              await transaction
                .updateTable('revisions')
                .set({ value: value + 1 })
                .where('scope', '=', 'count')
                .execute()
            },
            { isolation: 'serializable' },
          ),
        ),
      )
      expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([{ scope: 'count', value: 210 }])
    })

    test('[STO-10] a deadlock is retried transparently', async () => {
      await using database = await engine.open()
      await database.write((transaction) => put(transaction, 'a', 0))
      await database.write((transaction) => put(transaction, 'b', 0))
      let runs = 0
      const crossing = Array.from({ length: 4 }, (_, n) =>
        database.write(async (transaction) => {
          runs++
          const [first, second] = n % 2 === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const)
          await raise(transaction, first)
          await raise(transaction, second)
        }),
      )
      await Promise.all(crossing)
      expect(runs).toBeGreaterThanOrEqual(4)
      expect(await database.read.selectFrom('revisions').select('value').execute()).toEqual([{ value: 4 }, { value: 4 }])
    })

    test('[STO-11] a statement that fails ends its transaction, whether or not the failure is caught', async () => {
      await using database = await engine.open()
      await database.write((transaction) => put(transaction, 'taken'))
      const swallowed = database.write(async (transaction) => {
        await put(transaction, 'before')
        const error = await failureOf(put(transaction, 'taken'))
        expect(isUniqueViolation(error)).toBe(true)
        return 'as if nothing had happened'
      })
      expect(await failureOf(swallowed)).toBeInstanceOf(Error)
      const continued = database.write(async (transaction) => {
        await failureOf(put(transaction, 'taken'))
        await put(transaction, 'after')
      })
      expect(await failureOf(continued)).toBeInstanceOf(Error)
      expect(await scopes(database)).toEqual(['taken'])
    })

    test('[STO-11] what is left of a transaction that is over writes nothing', async () => {
      await using database = await engine.open()
      let escaped: Transaction | undefined
      await database.write(async (transaction) => {
        escaped = transaction
        await put(transaction, 'kept')
      })
      expect(await failureOf(put(escaped!, 'late'))).toBeInstanceOf(Error)
      expect(await scopes(database)).toEqual(['kept'])
    })

    test('[STO-12] what both engines cannot hold alike is refused, not changed', async () => {
      await using database = await engine.open()
      const write = (scope: unknown, value: unknown) => database.write((transaction) => put(transaction, scope as string, value as number))
      for (const value of [2 ** 53, -(2 ** 53), 2n ** 53n, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(await failureOf(write('number', value))).toBeInstanceOf(RangeError)
      }
      for (const value of [new Date(), true, { a: 1 }, Symbol('s'), () => 1]) {
        expect(await failureOf(write(value, 1))).toBeInstanceOf(TypeError)
      }
      const nul = await failureOf(write('a\0b', 1))
      expect(nul).toBeInstanceOf(ApiError)
      expect(nul).toMatchObject({ status: 400 })
      for (const value of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 7n]) await write(`exactly ${value}`, value)
      const rows = await database.read.selectFrom('revisions').select('value').orderBy('value').execute()
      expect(rows.map(({ value }) => value)).toEqual([Number.MIN_SAFE_INTEGER, 7, Number.MAX_SAFE_INTEGER])
      const sum = database.read
        .selectFrom('revisions')
        .where('value', '>', 0)
        .select(({ fn }) => fn.sum<number>('value').as('sum'))
        .execute()
      expect(await failureOf(sum)).toBeInstanceOf(RangeError)
      const small = database.read
        .selectFrom('revisions')
        .where('value', '=', 7)
        .select(({ fn }) => [fn.sum<number>('value').as('sum'), fn.countAll().as('count')])
      expect(await small.execute()).toEqual([{ sum: 7, count: 1 }])
      // Neither text where a number belongs.
      expect(await failureOf(write('text', 'seven'))).toBeInstanceOf(Error)
      expect(
        await database.read
          .selectFrom('revisions')
          .select(({ fn }) => fn.countAll().as('n'))
          .execute(),
      ).toEqual([{ n: 3 }])
    })

    test('text comes back as it was, and is sorted by its bytes', async () => {
      await using database = await engine.open()
      const texts = ['B', 'a', 'b', 'é', 'e', '_', '/', '漢字', '😀', "'; drop table revisions; --", '%', '', ' ', '\n', 'ﬀ']
      for (const text of texts) await database.write((transaction) => put(transaction, text))
      const byBytes = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      expect(await scopes(database)).toEqual(byBytes)
    })

    test('reading sees what was acknowledged, and nothing that is not committed', async () => {
      await using database = await engine.open()
      const inside = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const writing = database.write(async (transaction) => {
        await put(transaction, 'soon')
        inside.resolve()
        await goOn.promise
      })
      await inside.promise
      expect(await scopes(database)).toEqual([])
      goOn.resolve()
      await writing
      expect(await scopes(database)).toEqual(['soon'])
    })

    test('reading cannot write, and has no transactions', async () => {
      await using database = await engine.open()
      const read = database.read as unknown as Parameters<Parameters<Database['write']>[0]>[0]
      if (engine.name === 'sqlite') expect(await failureOf(put(read, 'x'))).toMatchObject({ status: 503 })
    })

    test('after it is closed everything is refused with a 503, and what was under way has ended', async () => {
      const database = await engine.open()
      const writing = database.write(async (transaction) => {
        await put(transaction, 'a')
        return 'done'
      })
      await writing
      await database[Symbol.asyncDispose]()
      expect(await failureOf(scopes(database))).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
      expect(await failureOf(database.write((transaction) => put(transaction, 'b')))).toMatchObject({ status: 503 })
      expect(await failureOf(sql`select 1`.execute(database.read as never))).toMatchObject({ status: 503 })
    })
  })
}
