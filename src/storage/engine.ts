import type { Sessions } from './session.ts'

/** Called by an engine: revisions of this scope may have changed. Undefined: of any scope. */
export type ChangeHint = (scope?: string) => void

export interface EngineOptions {
  readonly timeouts?: DatabaseTimeouts | undefined
  /** False: what is not there is not made. Default true. */
  readonly create?: boolean | undefined
}

/** Milliseconds. */
export interface DatabaseTimeouts {
  /** SQLite: after which a transaction that asks for nothing is rolled back. Default 10 000. */
  readonly idleTransaction?: number | undefined
  /** PostgreSQL: that a statement may take. Default 15 000. */
  readonly statement?: number | undefined
  /** Between two polls for changes. Default 200 on SQLite, 400 on PostgreSQL. */
  readonly pollInterval?: number | undefined
}

/** The file that was open has been deleted, or another one put in its place: what is written to it would be nowhere. */
export class DatabaseReplaced extends Error {
  constructor(path: string) {
    super(`the database file ${path} was deleted or replaced`)
    this.name = 'DatabaseReplaced'
  }
}

/** What SQLite and PostgreSQL do each in their own way. */
export interface Engine {
  readonly name: 'sqlite' | 'postgres'
  /** For messages, without secrets, e.g. `/home/me/.corral/corral.db`, `postgres://db.example:5432/corral`. */
  readonly place: string
  /**
   * Connects for the first time, and makes the file or the schema where there is none. Throws ApiError 503 where it is out of reach, StorageError
   * where trying again does not help.
   */
  open(): Promise<void>
  readonly reading: Sessions
  /** For polling for changes and reading them: responds or fails soon, whatever other sessions wait for. Absent: `reading` is used. */
  readonly polling?: Sessions | undefined
  readonly writing: Sessions
  /** For migrations: without the limits of time that others have. */
  readonly maintenance: Sessions
  /** ApiError 503 where the error means that the database is out of reach; any other error as it is. */
  translate(error: unknown): unknown
  /** Whether a transaction that failed with this error lost a race, and may well succeed when it is run again. */
  isRetryable(error: unknown): boolean
  /** How watchers learn of changes. `hint` is called at once where that is possible; otherwise they poll. */
  watch(hint: ChangeHint): ChangeWatch
  close(): Promise<void>
}

export interface ChangeWatch extends Disposable {
  /** Milliseconds between two looks. */
  readonly interval: number
  /** Cheap: false if nothing has changed since the last call. Throws DatabaseReplaced if the database must be reopened. */
  mayHaveChanged(): Promise<boolean>
}
