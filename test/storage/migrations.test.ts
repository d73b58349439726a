import { describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import type { Database, Transaction } from '../../src/storage/database.ts'
import { defineMigration } from '../../src/storage/migration.ts'
import { migrations } from '../../src/storage/migrations/index.ts'
import { openDatabase } from '../../src/storage/open.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { otherProcess } from './processes.ts'

/** One whole row of each table: the types hold it, so the tables must. */
const rows: { readonly [T in keyof Tables]: Tables[T] } = {
  revisions: { scope: 'keys', value: 7 },
  models: {
    id: 'model_1',
    created_at: 1,
    owner_id: 'alice',
    owner_attributes: '{"teams":["ml"]}',
    model_id: 'fast',
    provider_id: 'p',
    provider_model_id: 'vendor/fast',
    model_type: 'llm',
    metadata: '{}',
  },
  api_keys: {
    id: 'key_1',
    created_at: 2,
    owner_id: null,
    owner_attributes: '{}',
    name: 'ci',
    hash: 'ab',
    hint: 'ck_…x',
    principal: 'ci',
    attributes: '{}',
    allowed_models: '["*"]',
    allowed_apis: null,
    limits: '[]',
    expires_at: 9_007_199_254_740_991,
    revoked_at: null,
    previous_hash: 'cd',
    previous_until: 3,
  },
  quota_counters: { counter: 'c', window_start: 1, window_end: 2, taken: 3, granted: 4, leased: 5, wanted_until: 6 },
  quota_holders: { counter: 'c', holder: 'h', held: 1, until: 2, sequence: 3 },
  ledger: {
    id: 'l',
    created_at: 1,
    request_id: 'r',
    key_id: null,
    principal: null,
    attributes: '{}',
    provider: 'p',
    model: 'm',
    capability: 'chat',
    outcome: 'completed',
    input_tokens: 1,
    output_tokens: 2,
    cached_input_tokens: 3,
    reasoning_tokens: 4,
    estimated: 0,
    cost_nano_dollars: null,
  },
  jobs: {
    id: 'job_1',
    created_at: 1,
    kind: 'file.parse',
    key: null,
    payload: '{}',
    state: 'running',
    run_at: 2,
    attempts: 1,
    max_attempts: 5,
    lease_owner: 'process',
    lease_until: 3,
    cancel_requested: 0,
    last_error: null,
    progress: '[1]',
    finished_at: null,
  },
}

const tables = Object.keys(rows) as (keyof Tables)[]

/** Only reads, whatever its type says. */
const asKysely = (database: Database) => database.read as unknown as Kysely<Tables>

async function tablesOf(database: Database): Promise<string[]> {
  const statement =
    database.engine === 'sqlite'
      ? sql<{ name: string }>`select name from sqlite_schema where type = 'table'`
      : sql<{ name: string }>`select tablename as name from pg_catalog.pg_tables where schemaname = current_schema()`
  const found = await statement.execute(asKysely(database))
  return found.rows.map(({ name }) => name).filter((name) => tables.includes(name as keyof Tables))
}

/** Every table, column, index and constraint as the engine describes them. */
async function shapeOf(database: Database): Promise<unknown[]> {
  const statement =
    database.engine === 'sqlite'
      ? sql`select type, name, tbl_name, sql from sqlite_schema order by type, name`
      : sql`select table_name as a, column_name as b, data_type as c, is_nullable as d, collation_name as e from information_schema.columns where table_schema = current_schema()
            union all select tablename, indexname, replace(indexdef, current_schema(), ''), '', '' from pg_catalog.pg_indexes where schemaname = current_schema() order by 1, 2`
  return (await statement.execute(asKysely(database))).rows
}

const insert = (transaction: Transaction, table: keyof Tables) => transaction.insertInto(table).values(rows[table]).execute()

for (const engine of engines) {
  describe(engine.name, () => {
    test('the tables hold what their types say', async () => {
      await using database = await engine.open()
      expect((await tablesOf(database)).toSorted()).toEqual(tables.toSorted())
      for (const table of tables) {
        await database.write((transaction) => insert(transaction, table))
        const stored: unknown[] = await database.read.selectFrom(table).selectAll().execute()
        expect(stored).toEqual([rows[table]])
      }
    })

    for (let version = 0; version <= migrations.length; version++) {
      test(`[STO-14] a database of version ${version}, with rows, is brought up to date and keeps them`, async () => {
        await using place = await engine.fresh()
        let held: string[] = []
        if (version > 0) {
          await using older = await openDatabase(place.backend, { migrations: migrations.slice(0, version) })
          held = await tablesOf(older)
          for (const table of held) await older.write((transaction) => insert(transaction, table as keyof Tables))
        }
        await using newer = await openDatabase(place.backend)
        for (const table of tables) {
          const stored: unknown[] = await newer.read.selectFrom(table).selectAll().execute()
          expect(stored).toEqual(held.includes(table) ? [rows[table]] : [])
        }
        await using fresh = await engine.open()
        expect(await shapeOf(newer)).toEqual(await shapeOf(fresh))
      })
    }

    test('[STO-15] processes that open a new database together make its tables once', async () => {
      await using place = await engine.fresh()
      const all = Array.from({ length: 6 }, () => otherProcess('open', place.backend))
      for (const one of all) expect(await one.exited).toEqual({ code: 0, stderr: '' })
      await using database = await openDatabase(place.backend)
      const seen = await sql<{ number: number; name: string }>`select number, name from corral_migrations order by number`.execute(
        asKysely(database),
      )
      expect(seen.rows).toEqual(migrations.map(({ number, name }) => ({ number, name })))
    }, 60_000)

    test('[STO-16] a database of a newer version is refused, with what to do, and not touched', async () => {
      await using place = await engine.fresh()
      const later = defineMigration({
        number: migrations.length + 1,
        name: 'later',
        async up({ createTable, types }) {
          await createTable('later').addColumn('id', types.text).execute()
        },
      })
      {
        await using newer = await openDatabase(place.backend, { migrations: [...migrations, later] })
        expect(await newer.read.selectFrom('revisions').selectAll().execute()).toEqual([])
      }
      const error = await failureOf(openDatabase(place.backend))
      expect(error).toMatchObject({
        name: 'StorageError',
        message: expect.stringMatching(
          new RegExp(
            `was created by a newer version of Corral: its schema version is ${later.number}, this version supports ${migrations.length}`,
          ),
        ) as string,
        remedy: 'Run the newer version, or restore a backup from before it ran.',
      })
      await using again = await openDatabase(place.backend, { migrations: [...migrations, later] })
      expect(await again.read.selectFrom('revisions').selectAll().execute()).toEqual([])
    })

    test('[STO-14] a migration that fails leaves the database as it was', async () => {
      await using place = await engine.fresh()
      const broken = defineMigration({
        number: migrations.length + 1,
        name: 'broken',
        async up({ createTable, transaction, types }) {
          await createTable('half').addColumn('id', types.text).execute()
          await insert(transaction, 'revisions')
          throw new Error('half way')
        },
      })
      const before = await (async () => {
        await using database = await openDatabase(place.backend)
        return await shapeOf(database)
      })()
      expect(await failureOf(openDatabase(place.backend, { migrations: [...migrations, broken] }))).toMatchObject({ message: 'half way' })
      await using database = await openDatabase(place.backend)
      expect(await shapeOf(database)).toEqual(before)
      expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([])
    })

    test("[STO-16] somebody else's table of the same name is not taken for ours", async () => {
      await using place = await engine.fresh()
      const foreign = defineMigration({
        number: 1,
        name: 'foreign',
        async up({ schema, types }) {
          await schema.createTable('models').addColumn('theirs', types.text).execute()
          await schema.dropTable('corral_migrations').execute()
          await schema
            .createTable('corral_migrations')
            .addColumn('number', types.integer)
            .addColumn('name', types.text)
            .addColumn('applied_at', types.integer)
            .execute()
        },
      })
      {
        await using other = await openDatabase(place.backend, { migrations: [foreign] })
        await other.write(async (transaction) => {
          await transaction.schema.dropTable('corral_migrations').execute()
        })
      }
      expect(await failureOf(openDatabase(place.backend))).toMatchObject({
        name: 'StorageError',
        message: expect.stringContaining("contains a table 'models' that does not belong to Corral") as string,
      })
    })
  })
}

test('migrations are numbered from 1 without a gap, each in the file of its name', () => {
  expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, index) => index + 1))
  const files = readdirSync(join(import.meta.dir, '../../src/storage/migrations')).filter((name) => name !== 'index.ts')
  expect(files.toSorted()).toEqual(migrations.map(({ number, name }) => `${String(number).padStart(4, '0')}-${name}.ts`))
})
