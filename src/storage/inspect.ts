import { stat } from 'node:fs/promises'
import { type Kysely, sql } from 'kysely'
import type { PostgresBackend, SqliteBackend } from './config.ts'
import { kyselyOver } from './driver.ts'
import type { Engine } from './engine.ts'
import { hasTable, ownTables, versionOf } from './migrate.ts'
import { migrations } from './migrations/index.ts'
import { engineOf } from './lazy-database.ts'
import type { Tables } from './tables.ts'

/** The state of a database, inspected read-only. */
export interface DatabaseStatus {
  readonly engine: 'sqlite' | 'postgres'
  /** Without secrets. */
  readonly place: string
  /** The number of the last migration that it has seen; 0: none, or it is not there yet. */
  readonly version: number
  /** The newest version that this program knows. */
  readonly newest: number
  /** Names of the migrations that it has not seen. */
  readonly pending: readonly string[]
  readonly tables: readonly { readonly name: string; readonly rows: number }[]
  /** Bytes: the whole file, or the tables with their indexes. */
  readonly size: number
}

/** Throws ApiError 503 or StorageError where it cannot be opened. */
export async function inspectDatabase(backend: SqliteBackend | PostgresBackend): Promise<DatabaseStatus> {
  const engine = engineOf(backend, { create: false })
  try {
    if (backend.engine === 'sqlite' && !(await exists(backend.path))) return statusOf(engine, 0, { tables: [], size: 0 })
    await engine.open()
    const db = kyselyOver(engine.name, engine.reading)
    return statusOf(engine, await versionOf(db, engine.name), {
      tables: await tablesIn(db, engine.name),
      size: await sizeOf(db, engine.name),
    })
  } catch (error) {
    throw engine.translate(error)
  } finally {
    await engine.close()
  }
}

function statusOf({ name, place }: Engine, version: number, found: Pick<DatabaseStatus, 'tables' | 'size'>): DatabaseStatus {
  const pending = migrations.slice(version).map((migration) => `${String(migration.number).padStart(4, '0')}-${migration.name}`)
  return { engine: name, place, version, newest: migrations.length, pending, ...found }
}

async function tablesIn(db: Kysely<Tables>, engine: 'sqlite' | 'postgres'): Promise<DatabaseStatus['tables']> {
  const tables: { name: string; rows: number }[] = []
  for (const name of ownTables) {
    if (!(await hasTable(db, engine, name))) continue
    const { rows } = await sql<{ rows: number }>`select count(*) as rows from ${sql.table(name)}`.execute(db)
    tables.push({ name, rows: rows[0]?.rows ?? 0 })
  }
  return tables
}

async function sizeOf(db: Kysely<Tables>, engine: 'sqlite' | 'postgres'): Promise<number> {
  const asked =
    engine === 'sqlite'
      ? sql<{ size: number }>`select page_count * page_size as size from pragma_page_count(), pragma_page_size()`
      : sql<{ size: number | null }>`select sum(pg_total_relation_size(c.oid)) as size from pg_catalog.pg_class c
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where n.nspname = current_schema() and c.relkind = 'r' and c.relname in (${sql.join(ownTables)})`
  const { rows } = await asked.execute(db)
  return rows[0]?.size ?? 0
}

async function exists(path: string): Promise<boolean> {
  if (path === ':memory:') return true
  return await stat(path).then(
    () => true,
    () => false,
  )
}
