import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Events } from '../telemetry/events.ts'
import type { PostgresBackend, SqliteBackend, StorageConfig } from './config.ts'
import type { Database } from './database.ts'
import { codeOf, StorageError } from './errors.ts'
import type { Migration } from './migration.ts'
import { createDatabase, type DatabaseDeps, type LazyDatabase } from './lazy-database.ts'

export { isUniqueViolation, StorageError } from './errors.ts'
export type { DatabaseDeps } from './lazy-database.ts'

/**
 * Opens one database and brings its tables up to date. Throws ApiError 503 where it is out of reach, and StorageError where trying again does not
 * help: no database, no permission, created by a newer version.
 */
export async function openDatabase(backend: SqliteBackend | PostgresBackend, deps: DatabaseDeps = {}): Promise<Database> {
  const database = createDatabase(backend, deps)
  try {
    await database.connect()
    return database
  } catch (error) {
    await database[Symbol.asyncDispose]()
    throw error
  }
}

/** The databases of a server, open or opening, each once. */
export interface OpenStorage extends AsyncDisposable {
  /** Keys, registered models, the ledger. */
  readonly records: Database
  /**
   * The database of a backend, one for all names of the same file or database. As with the records: an unavailable PostgreSQL is opened once it is
   * back, and a file that cannot be used is a StorageError.
   */
  open(backend: SqliteBackend | PostgresBackend): Promise<Database>
}

export interface OpenStorageDeps {
  /** Default: all of this version. */
  readonly migrations?: readonly Migration[] | undefined
  readonly events?: Pick<Events, 'dependencyFailed' | 'dependencyRecovered' | 'warning'> | undefined
}

/**
 * Opens the records database. A PostgreSQL that is unavailable does not stop the start: requests that need it fail with 503 until it is back.
 * Nor does the default file, which is not configured. Throws StorageError for a configured one that cannot be used.
 */
export async function openStorage(config: StorageConfig, deps: OpenStorageDeps = {}): Promise<OpenStorage> {
  const opened = new Map<string, LazyDatabase>()
  const databaseFor = (backend: SqliteBackend | PostgresBackend): LazyDatabase => {
    const key = identityOf(backend)
    const known = opened.get(key)
    if (known) return known
    const database = createDatabase(backend, deps)
    opened.set(key, database)
    return database
  }
  const records = databaseFor(config.records)
  const close = async (): Promise<void> => {
    await Promise.all([...opened.values()].map((database) => database[Symbol.asyncDispose]()))
  }
  if (!config.recordsConfigured) openDefaultInBackground(records, deps)
  else {
    try {
      await openConfigured(records)
      await warnOfReadOnly(config.records, deps)
    } catch (error) {
      await close()
      throw error
    }
  }
  return {
    records,
    async open(backend) {
      const database = databaseFor(backend)
      await openConfigured(database)
      return database
    },
    [Symbol.asyncDispose]: close,
  }
}

async function openConfigured(database: LazyDatabase): Promise<void> {
  try {
    await database.connect()
  } catch (error) {
    if (error instanceof StorageError || database.engine === 'sqlite') throw error
    database.retryInBackground()
  }
}

/** A file that can be read only is of use, and none that should be found out by the first change. */
async function warnOfReadOnly(backend: SqliteBackend | PostgresBackend, { events }: OpenStorageDeps): Promise<void> {
  if (backend.engine !== 'sqlite' || backend.path === ':memory:') return
  try {
    // The write-ahead log is beside the file.
    for (const path of [backend.path, dirname(backend.path)]) await access(path, constants.W_OK)
  } catch (error) {
    const why = codeOf(error) ?? 'unknown cause'
    events?.warning(`The database file ${backend.path} or its folder is read-only (${why}): writes to it fail with 503.`)
  }
}

/** In the background, so that a server that needs nothing of it starts as fast as before. */
function openDefaultInBackground(database: LazyDatabase, { events }: OpenStorageDeps): void {
  database.connect().catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    const remedy = error instanceof StorageError ? error.remedy : ''
    events?.warning(`${why} Requests that need it (keys, registered models, the ledger) fail with 503. ${remedy}`.trim())
    database.retryInBackground()
  })
}

/** Two names of one file or database are one. */
function identityOf(backend: SqliteBackend | PostgresBackend): string {
  if (backend.engine === 'sqlite') return `sqlite ${backend.path}`
  const { host, port, database, user, schema } = backend
  return JSON.stringify(['postgres', host, port, database ?? user, user, schema])
}
