import { type Kysely, sql } from 'kysely'
import { StorageError } from './errors.ts'
import type { Migration, MigrationTools } from './migration.ts'
import { migrations as ownMigrations } from './migrations/index.ts'
import type { Tables } from './tables.ts'

/** Which migrations a database has seen. */
interface HistoryTables extends Tables {
  corral_migrations: { number: number; name: string; applied_at: number }
}

/** An arbitrary key: PostgreSQL's advisory locks share one key space per database. */
const lockNumber = 7_267_238_321

interface MigrateOptions {
  readonly engine: 'sqlite' | 'postgres'
  /** For messages, e.g. `/home/me/.corral/corral.db`. */
  readonly place: string
  /** Default: all of this version. */
  readonly migrations?: readonly Migration[] | undefined
  /** Unix milliseconds. Default: the system's clock. */
  readonly now?: (() => number) | undefined
}

interface MigrateThrough {
  readonly read: Kysely<Tables>
  readonly write: Kysely<Tables>
}

/** The number of the last migration that the database has seen; 0 for a new one. */
export async function versionOf(db: Kysely<Tables>, engine: 'sqlite' | 'postgres'): Promise<number> {
  if (!(await hasTable(db, engine, 'corral_migrations'))) return 0
  const history = db as unknown as Kysely<HistoryTables>
  const last = await history
    .selectFrom('corral_migrations')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst()
  return last?.number ?? 0
}

/**
 * Brings the tables up to date, in one transaction and under a lock, so that processes that start together do it once. Returns the numbers of
 * the migrations that it ran. Throws StorageError for a database of a newer version, or one with foreign tables.
 */
export async function migrate({ read, write }: MigrateThrough, options: MigrateOptions): Promise<number[]> {
  const { engine, place, migrations = ownMigrations, now = Date.now } = options
  // A file that is up to date needs no thread that writes.
  if (refuseNewer(await versionOf(read, engine), migrations, place) === migrations.length) return []
  return await write.transaction().execute(async (transaction) => {
    if (engine === 'postgres') await sql`select pg_advisory_xact_lock(${lockNumber})`.execute(transaction)
    const version = refuseNewer(await versionOf(transaction, engine), migrations, place)
    const history = transaction as unknown as Kysely<HistoryTables>
    const tools = toolsOf(transaction, engine)
    if (version === 0) await begin(tools, place)
    const pending = migrations.slice(version)
    for (const migration of pending) {
      await migration.up(tools)
      await history.insertInto('corral_migrations').values({ number: migration.number, name: migration.name, applied_at: now() }).execute()
    }
    return pending.map(({ number }) => number)
  })
}

function refuseNewer(version: number, migrations: readonly Migration[], place: string): number {
  if (version <= migrations.length) return version
  throw new StorageError(
    `The database ${place} was created by a newer version of Corral: its schema version is ${version}, this version supports ${migrations.length}.`,
    'Run the newer version, or restore a backup from before it ran.',
  )
}

/** Creates the first table, after a check for tables in conflict with ours. */
async function begin({ transaction, engine, createTable, types }: MigrationTools, place: string): Promise<void> {
  for (const table of ownTables) {
    if (!(await hasTable(transaction, engine, table))) continue
    throw new StorageError(
      `The database ${place} contains a table '${table}' that does not belong to Corral.`,
      'Give Corral a database of its own (or, on PostgreSQL, a schema of its own: the key `schema` of the backend).',
    )
  }
  await createTable('corral_migrations')
    .addColumn('number', types.integer, (column) => column.primaryKey().notNull())
    .addColumn('name', types.text, (column) => column.notNull())
    .addColumn('applied_at', types.integer, (column) => column.notNull())
    .execute()
}

/** The tables of `tables.ts`; the type sees to it that none is left out. */
export const ownTables = Object.keys({
  revisions: true,
  models: true,
  api_keys: true,
  quota_counters: true,
  quota_holders: true,
  ledger: true,
  jobs: true,
} satisfies Record<keyof Tables, true>)

function toolsOf(transaction: MigrationTools['transaction'], engine: 'sqlite' | 'postgres'): MigrationTools {
  const types: MigrationTools['types'] =
    engine === 'sqlite' ? { text: sql`text`, integer: 'integer' } : { text: sql`text collate "C"`, integer: 'bigint' }
  const { schema } = transaction
  return {
    engine,
    transaction,
    schema,
    types,
    createTable: (name) => (engine === 'sqlite' ? schema.createTable(name).modifyEnd(sql`strict`) : schema.createTable(name)),
  }
}

export async function hasTable(db: Kysely<Tables>, engine: 'sqlite' | 'postgres', table: string): Promise<boolean> {
  const { rows } =
    engine === 'sqlite'
      ? await sql`select 1 from sqlite_schema where type = 'table' and name = ${table}`.execute(db)
      : await sql`select 1 from pg_catalog.pg_tables where schemaname = current_schema() and tablename = ${table}`.execute(db)
  return rows.length > 0
}
