import { describe, expect, test } from 'bun:test'
import { sql } from 'kysely'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'

const add = (scope: string) => sql<{ value: number }>`
  insert into revisions as known (scope, value) values (${scope}, 1)
  on conflict (scope) do update set value = known.value + 1 returning value`

for (const engine of engines) {
  describe(`one statement by itself on ${engine.name}`, () => {
    test('gives its rows, and many at once are each counted', async () => {
      await using database = await engine.open()
      expect(await database.statement(add('one'))).toEqual([{ value: 1 }])
      const rows = await Promise.all(Array.from({ length: 200 }, () => database.statement(add('many'))))
      expect(rows.map(([row]) => row?.value ?? 0).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, at) => at + 1))
    })

    test('is kept whatever becomes of the transactions around it', async () => {
      await using database = await engine.open()
      const transaction = (fails: boolean) =>
        database.write(async (inside) => {
          await add('written').execute(inside)
          if (fails) throw new Error('undone')
        })
      const work = Array.from({ length: 60 }, (_, at) => {
        if (at % 3 === 0) return transaction(false)
        return at % 3 === 1 ? failureOf(transaction(true)) : database.statement(add('alone'))
      })
      await Promise.all(work)
      const rows = await database.read.selectFrom('revisions').select(['scope', 'value']).orderBy('scope').execute()
      expect(rows).toEqual([
        { scope: 'alone', value: 20 },
        { scope: 'written', value: 20 },
      ])
    })

    test('fails by itself, and what comes next goes on', async () => {
      await using database = await engine.open()
      const work = Array.from({ length: 30 }, (_, at) =>
        at % 2 === 0 ? database.statement(add('good')) : failureOf(database.statement(sql`insert into nowhere (id) values (1)`)),
      )
      const outcomes = await Promise.all(work)
      expect(outcomes.filter((outcome) => outcome instanceof Error)).toHaveLength(15)
      expect(await database.statement(add('good'))).toEqual([{ value: 16 }])
    })
  })
}
