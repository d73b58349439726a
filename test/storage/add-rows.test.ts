import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Database } from '../../src/storage/database.ts'
import type { RevisionRow } from '../../src/storage/tables.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'

const rowsOf = (database: Database) => database.read.selectFrom('revisions').selectAll().orderBy('scope').execute()

/** No text can be stored as a number. */
const bad = (scope: string): RevisionRow => ({ scope, value: 'many' as unknown as number })

const pair = (name: string): RevisionRow[] => [
  { scope: `${name} 1`, value: 1 },
  { scope: `${name} 2`, value: 2 },
]

const columns = ['scope', 'value'] as const
const backwards = ['value', 'scope'] as const
const textsOf = (rows: readonly RevisionRow[], names: readonly (keyof RevisionRow)[] = columns) => {
  return { columns: names, rows: rows.map((row) => JSON.stringify(names.map((name) => row[name]))) }
}

for (const engine of engines) {
  describe(`rows that are added on ${engine.name}`, () => {
    test('[STO-10] each once, whatever is in it, however often it is added; the first one stays', async () => {
      await using database = await engine.open()
      const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((one) => one.replaceAll('\0', '').toWellFormed())
      const row = fc.record({ scope: text, value: fc.maxSafeInteger() })
      const expected = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(fc.array(row, { maxLength: 30 }), async (rows) => {
          await Promise.all([columns, backwards].map((names) => database.add('revisions', textsOf(rows, names))))
          for (const { scope, value } of rows) if (!expected.has(scope)) expected.set(scope, value)
          const stored = await rowsOf(database)
          expect(new Map(stored.map(({ scope, value }) => [scope, value]))).toEqual(expected)
        }),
        { numRuns: 30 },
      )
    })

    test('[STO-10] all or none, whatever becomes of those beside them', async () => {
      await using database = await engine.open()
      await failureOf(database.add('revisions', textsOf([...pair('alone'), bad('bad')])))
      expect(await rowsOf(database)).toEqual([])
      const failing = (at: number) =>
        database.write(async (transaction) => {
          await transaction
            .insertInto('revisions')
            .values(pair(`undone ${at}`))
            .execute()
          throw new Error('undone')
        })
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, at) => {
          if (at % 3 === 0) return database.add('revisions', textsOf(pair(`added ${at}`))).then(() => 'added')
          if (at % 3 === 1) return failureOf(database.add('revisions', textsOf([...pair(`bad ${at}`), bad('bad')]))).then(() => 'refused')
          return failureOf(failing(at)).then(() => 'undone')
        }),
      )
      expect(new Set(outcomes)).toEqual(new Set(['added', 'refused', 'undone']))
      const scopes = (await rowsOf(database)).map(({ scope }) => scope)
      expect(scopes).toHaveLength(40)
      expect(scopes.filter((scope) => !scope.startsWith('added '))).toEqual([])
    })

    test('none at all', async () => {
      await using database = await engine.open()
      await database.add('revisions', textsOf([]))
      expect(await rowsOf(database)).toEqual([])
    })
  })
}
