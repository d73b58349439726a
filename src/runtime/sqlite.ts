import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { sleep } from '../timing.ts'

/** What a statement gave: its rows, and how many rows it changed. */
export interface SqliteResult {
  readonly rows: Record<string, unknown>[]
  readonly changes: number
}

/**
 * Values for a statement's placeholders; or, for as many runs of it, the values of each: JSON, a list of lists. As one text they reach another
 * thread at half the cost of a list.
 */
export type SqliteParameters = readonly unknown[] | { readonly each: string }

/** One open connection; every call blocks its thread. */
export interface SqliteConnection {
  /** Whether a transaction is open: some errors (a full disk) end one by themselves. */
  readonly inTransaction: boolean
  /**
   * Runs one statement, many times where parameters are given for each: then all runs count or none, and no rows are given.
   * Throws SqliteFailure, and RangeError for a whole number in its rows that JavaScript would round.
   */
  execute(sql: string, parameters: SqliteParameters): SqliteResult
  close(): void
}

/** An error of SQLite, also one that came from another thread. */
export class SqliteFailure extends Error {
  /** SQLite's own name of it, e.g. `SQLITE_BUSY`, `SQLITE_CONSTRAINT_UNIQUE`. */
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.name = 'SqliteFailure'
    this.code = code
  }
}

interface SqliteOptions {
  /** `query` reads only; `write` makes the file where there is none. */
  readonly mode: 'query' | 'write'
  /** Milliseconds to wait for a lock of another connection. */
  readonly busyTimeout: number
}

/** False on Node: its SQLite is another one, which is not supported. */
export const hasSqlite = process.versions['bun'] !== undefined

/** The code of the failure where the runtime has no SQLite. */
export const sqliteUnavailable = 'SQLITE_UNAVAILABLE'

/** Throws SqliteFailure `SQLITE_UNAVAILABLE` where the runtime has no SQLite. */
export function requireSqlite(): void {
  if (!hasSqlite) throw new SqliteFailure('the runtime has no SQLite that is supported', sqliteUnavailable)
}

/**
 * Opens a database file (or `:memory:`): write-ahead log, `synchronous=FULL` (a commit has reached the disk before it returns, so that it survives
 * a loss of power), foreign keys on. Throws SqliteFailure.
 */
export async function openSqlite(path: string, { mode, busyTimeout }: SqliteOptions): Promise<SqliteConnection> {
  requireSqlite()
  // Loaded here: other runtimes may import this module.
  const { Database: Connection } = await import('bun:sqlite')
  const open = () => {
    const database = new Connection(path, { readwrite: true, create: mode === 'write', safeIntegers: true, strict: true })
    try {
      database.run(`PRAGMA busy_timeout = ${Math.trunc(busyTimeout)}`)
      if (mode === 'query') database.run('PRAGMA query_only = ON')
      else {
        database.run('PRAGMA journal_mode = WAL')
        database.run('PRAGMA synchronous = FULL')
        // macOS: a sync that does not end in the disk's own cache. Nothing elsewhere.
        database.run('PRAGMA fullfsync = ON')
        database.run('PRAGMA checkpoint_fullfsync = ON')
        database.run('PRAGMA journal_size_limit = 67108864')
        database.run('PRAGMA foreign_keys = ON')
      }
      // The first access to the file: fails here if it is not a database.
      database.query('SELECT count(*) FROM sqlite_schema').all()
    } catch (error) {
      database.close()
      throw error
    }
    return connection(database)
  }
  for (let attempts = 1; ; attempts++) {
    try {
      return withSqliteFailure(open)
    } catch (error) {
      // Several processes that make a file together get into each other's way where SQLite does not wait by itself.
      if (!(error instanceof SqliteFailure && error.code.startsWith('SQLITE_BUSY')) || attempts === maxAttempts) throw error
      await sleep(Math.random() * 20 * attempts)
    }
  }
}

const maxAttempts = 20

/**
 * Copies a database file as it is at one moment, while others write it: `VACUUM INTO` reads in one transaction. `to` is absent or empty.
 * Blocks its thread. Throws SqliteFailure, also where the copy does not pass SQLite's own check.
 */
export async function copySqlite(from: string, to: string): Promise<void> {
  const { Database: Connection } = await import('bun:sqlite')
  withSqliteFailure(() => {
    using source = new Connection(from, { readwrite: true, create: false })
    source.run('PRAGMA busy_timeout = 5000')
    source.run('VACUUM INTO ?', [to])
    using copy = new Connection(to, { readonly: true })
    const problems = copy.query<{ quick_check: string }, []>('PRAGMA quick_check').all()
    if (problems.length !== 1 || problems[0]?.quick_check !== 'ok') throw new SqliteFailure('the copy is damaged', 'SQLITE_CORRUPT')
  })
}

function connection(database: Database): SqliteConnection {
  // Inside of a transaction it makes a savepoint.
  const runEach = database.transaction((sql: string, all: SQLQueryBindings[][]) => {
    const statement = database.query<unknown, SQLQueryBindings[]>(sql)
    let changes = 0
    for (const bound of all) changes += statement.run(...bound).changes
    return { rows: [], changes }
  })
  return {
    get inTransaction() {
      return database.inTransaction
    },
    execute(sql, parameters) {
      if ('each' in parameters) return withSqliteFailure(() => runEach.immediate(sql, JSON.parse(parameters.each) as SQLQueryBindings[][]))
      const bound = parameters as SQLQueryBindings[]
      return withSqliteFailure(() => {
        const statement = database.query<Record<string, unknown>, SQLQueryBindings[]>(sql)
        if (statement.columnNames.length === 0) {
          const { changes } = statement.run(...bound)
          return { rows: [], changes }
        }
        const rows = statement.all(...bound)
        for (const row of rows) toSafeNumbers(row)
        return { rows, changes: rows.length }
      })
    },
    close: () => database.close(),
  }
}

function toSafeNumbers(row: Record<string, unknown>): void {
  for (const column in row) {
    const value = row[column]
    if (typeof value !== 'bigint') continue
    const number = Number(value)
    if (!Number.isSafeInteger(number)) throw new RangeError(`the whole number ${value} is beyond 2^53 and would be rounded`)
    row[column] = number
  }
}

function withSqliteFailure<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE')) {
      throw new SqliteFailure(error.message, error.code)
    }
    throw error
  }
}
