import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ApiError } from '../../src/errors.ts'
import type { Database } from '../../src/storage/database.ts'
import { newId, timeOfId } from '../../src/storage/ids.ts'
import { cursorOf, pageOf, type PageRequest } from '../../src/storage/pages.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { runs } from '../../src/testing/sizes.ts'

interface Row {
  readonly id: string
  readonly created_at: number
}

async function insert(database: Database, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return
  const rest = {
    owner_id: null,
    owner_attributes: '{}',
    model_id: 'm',
    provider_id: 'p',
    provider_model_id: 'm',
    model_type: 'llm',
    metadata: '{}',
  }
  await database.write((transaction) =>
    transaction
      .insertInto('models')
      .values(rows.map((row) => ({ ...row, ...rest })))
      .execute(),
  )
}

const remove = (database: Database, ids: readonly string[]) =>
  database.write((transaction) => transaction.deleteFrom('models').where('id', 'in', ids).execute())

const page = (database: Database, request: PageRequest, keep?: (row: Row) => boolean) =>
  pageOf(database.read.selectFrom('models').select(['id', 'created_at']), request, { filter: keep })

const inOrder = (rows: readonly Row[], order: 'asc' | 'desc'): Row[] => {
  const ascending = rows.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  return order === 'asc' ? ascending : ascending.toReversed()
}

/** Few moments, so that many rows share one; ids of every sort, in an order that collations would disagree on. */
const moment = fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_003 })
const chosenId = fc.stringMatching(/^[a-cA-C_/é-]{1,4}$/)
const rowOf = fc.oneof(
  fc.record({ created_at: moment, id: chosenId }),
  moment.map((created_at) => ({ created_at, id: newId('model_', created_at) })),
)
const rowsOf = fc.uniqueArray(rowOf, { selector: ({ id }) => id, maxLength: 25 })

for (const engine of engines) {
  describe(engine.name, () => {
    let database: Database
    beforeAll(async () => {
      database = await engine.open()
      // An index would put rows into order that the query does not ask for.
      await database.write((transaction) => transaction.schema.dropIndex('models_in_order').execute())
    })
    afterAll(() => database[Symbol.asyncDispose]())

    const empty = () => database.write((transaction) => transaction.deleteFrom('models').execute())

    test('[STO-8] page by page, while rows come and go: every row that stays is seen once, no row twice, in order', async () => {
      const between = fc.record({ come: fc.array(rowOf, { maxLength: 3 }), go: fc.array(fc.nat(), { maxLength: 3 }) })
      const plan = {
        first: rowsOf,
        meanwhile: fc.array(between, { maxLength: 6 }),
        limit: fc.integer({ min: 1, max: 6 }),
        order: fc.constantFrom('asc' as const, 'desc' as const),
        opaque: fc.boolean(),
        kept: fc.constantFrom(undefined, 'a', 'm'),
      }
      await fc.assert(
        fc.asyncProperty(fc.record(plan), async ({ first, meanwhile, limit, order, opaque, kept }) => {
          await empty()
          await insert(database, first)
          const keep = kept === undefined ? undefined : ({ id }: Row) => !id.includes(kept)
          const there = new Map(first.map((row) => [row.id, row]))
          const stayed = new Map(there)
          const seen: Row[] = []
          let after: string | undefined
          for (let turn = 0; ; turn++) {
            expect(turn).toBeLessThan(100)
            const { rows, hasMore } = await page(database, { limit, order, after }, keep)
            expect(rows.length).toBeLessThanOrEqual(limit)
            seen.push(...rows)
            const last = rows.at(-1)
            if (!hasMore || !last) break
            expect(rows.length).toBe(limit)
            after = opaque ? cursorOf(last) : last.id
            const { come, go } = meanwhile[turn] ?? { come: [], go: [] }
            const leaving = go.map((n) => [...there.keys()][n % Math.max(1, there.size)]).filter((id) => id !== undefined)
            // An id without a time cannot be continued from once its row is deleted: paging by such ids needs cursors.
            const gone = leaving.filter((id) => opaque || id !== last.id || timeOfId(id) !== undefined)
            if (gone.length > 0) await remove(database, gone)
            for (const id of gone) for (const map of [there, stayed]) map.delete(id)
            const fresh = come.filter(
              (row, index) =>
                !there.has(row.id) && !seen.some(({ id }) => id === row.id) && come.findIndex(({ id }) => id === row.id) === index,
            )
            await insert(database, fresh)
            for (const row of fresh) there.set(row.id, row)
          }
          expect(seen).toEqual(inOrder(seen, order))
          expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length)
          const expected = [...stayed.values()].filter((row) => keep?.(row) ?? true)
          const seenIds = new Set(seen.map(({ id }) => id))
          expect(expected.filter(({ id }) => !seenIds.has(id))).toEqual([])
          if (keep) expect(seen.every(keep)).toBe(true)
        }),
        { numRuns: runs(150) },
      )
    }, 60_000)

    test('[STO-8] every cursor and limit gives what a list in memory gives', async () => {
      const asked = {
        rows: rowsOf,
        limit: fc.integer({ min: 1, max: 8 }),
        order: fc.constantFrom('asc' as const, 'desc' as const),
        after: fc.option(fc.nat()),
        before: fc.option(fc.nat()),
      }
      await fc.assert(
        fc.asyncProperty(fc.record(asked), async ({ rows, limit, order, after, before }) => {
          await empty()
          await insert(database, rows)
          const all = inOrder(rows, order)
          const at = (n: number | null) => (n === null || all.length === 0 ? undefined : n % all.length)
          const [from, to] = [at(after), at(before)]
          const range = all.slice(from === undefined ? 0 : from + 1, to)
          const backwards = from === undefined && to !== undefined
          const expected = backwards ? range.slice(-limit) : range.slice(0, limit)
          const cursor = (index: number | undefined) => (index === undefined ? undefined : all[index]?.id)
          const got = await page(database, { limit, order, after: cursor(from), before: cursor(to) })
          expect(got).toEqual({ rows: expected, hasMore: range.length > expected.length })
        }),
        { numRuns: runs(150) },
      )
    }, 60_000)

    test('[STO-9] an unknown cursor is a 400 that names the parameter and reveals nothing of rows that the caller may not see', async () => {
      await empty()
      await insert(database, [{ id: 'hidden/model', created_at: 5 }])
      const hidden = await failureOf(page(database, { limit: 1, order: 'asc', after: 'hidden/model' }, () => false))
      const absent = await failureOf(page(database, { limit: 1, order: 'asc', after: 'absent/model' }, () => false))
      for (const [error, id] of [
        [hidden, 'hidden/model'],
        [absent, 'absent/model'],
      ] as const) {
        expect(error).toBeInstanceOf(ApiError)
        expect(error).toMatchObject({ status: 400, param: 'after' })
        expect((error as ApiError).message.replace(id, 'X')).toBe(
          "There is no 'X' to list after: it may have been deleted. Begin again without a cursor.",
        )
      }
    })

    test('an invalid cursor is a 400, never a 500', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            fc.string(),
            fc.string().map((text) => `cursor_${text}`),
          ),
          async (cursor) => {
            const result = await page(database, { limit: 1, order: 'asc', before: cursor }).catch((error: unknown) => error)
            if (result instanceof Error) expect(result).toMatchObject({ name: 'ApiError', status: 400 })
          },
        ),
        { numRuns: runs(200) },
      )
    })
  })
}

test('an id contains its creation time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 47 }), (time) => {
      expect(timeOfId(newId('key_', time))).toBe(time)
    }),
  )
  expect(timeOfId('meta-llama/Llama-3.1-8B')).toBeUndefined()
})
