import { ApiError, unavailable } from '../errors.ts'

/** Why a database cannot be used, for the operator, and what to do about it. Trying again does not help. */
export class StorageError extends Error {
  readonly remedy: string

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StorageError'
    this.remedy = remedy
  }
}

/** Only Bun's SQLite is supported: a server on Node keeps its records in PostgreSQL. */
export class SqliteUnavailable extends StorageError {
  constructor(cause: unknown) {
    super('SQLite is available on Bun only.', 'Run the server on Bun, or configure a PostgreSQL database in `storage`.', cause)
  }
}

/** Seconds after which a caller may ask again. */
const retryAfter = 5

/** The database cannot be reached now. */
export function databaseUnavailable(cause: unknown): ApiError {
  const detail = cause instanceof SqliteUnavailable ? ` ${cause.message} ${cause.remedy}` : ''
  return unavailable(`The database is unavailable.${detail}`, retryAfter, { code: 'database_unavailable', cause })
}

export function isDatabaseUnavailable(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'database_unavailable'
}

/** The engine's name of an error: SQLite's `SQLITE_…`, PostgreSQL's SQLSTATE, or a system error's. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** A row with this key is there already. */
export function isUniqueViolation(error: unknown): boolean {
  const code = codeOf(error)
  return code === '23505' || code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY'
}
