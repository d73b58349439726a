import { statSync } from 'node:fs'
import { chmod, mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { openSqlite, requireSqlite, type SqliteConnection, SqliteFailure, sqliteUnavailable } from '../runtime/sqlite.ts'
import { type SqliteThread, SqliteThreadGone, startSqliteThread } from '../runtime/sqlite-thread.ts'
import { DatabaseReplaced, type DatabaseTimeouts, type Engine, type EngineOptions, type ChangeWatch } from './engine.ts'
import { codeOf, isDatabaseUnavailable, databaseUnavailable, SqliteUnavailable, StorageError } from './errors.ts'
import type { Session, Sessions } from './session.ts'
import { type WriteChannel, WriteQueue } from './write-queue.ts'

/** Milliseconds that one try to lock the file waits for another process. */
const busyTimeout = 2000

/** Milliseconds that a transaction under way gets when the database is closed. */
const closeTimeout = 3000

/** Milliseconds between two polls for changes of other processes. */
const defaultPollInterval = 200

/** A SQLite file: written by a thread, read here. Or one in memory, which there is nothing to wait for. */
export function sqliteEngine(path: string, { timeouts = {}, create = true }: EngineOptions = {}): Engine {
  return path === ':memory:' ? memoryEngine(timeouts) : fileEngine(path, timeouts, create)
}

function fileEngine(
  path: string,
  { idleTransaction, pollInterval: watch = defaultPollInterval }: DatabaseTimeouts,
  create: boolean,
): Engine {
  let thread: Promise<SqliteThread> | undefined
  let reader: SqliteConnection | undefined
  let closed = false
  /** Which file it is that is open; undefined before the first time. */
  let opened: string | undefined
  let isReplaced = false

  /** Whether it is still the file that its name leads to: what is written to any other is lost. */
  const check = (): void => {
    if (opened === undefined || isReplaced || identityOf(path) === opened) return
    isReplaced = true
    reader?.close()
    reader = undefined
    // Pending statements complete, though their file is gone.
    void thread?.then((running) => running.close()).catch(() => undefined)
    thread = undefined
  }
  const checked = (): void => {
    check()
    if (isReplaced) throw new DatabaseReplaced(path)
  }

  const writer = async (): Promise<WriteChannel> => {
    if (closed) throw databaseUnavailable(new Error('the database is closed'))
    if (isReplaced) throw databaseUnavailable(new DatabaseReplaced(path))
    const running = await thread
    if (running && !running.gone) return running
    thread = startSqliteThread(path, { busyTimeout })
    return await thread.catch((error: unknown) => {
      thread = undefined
      throw error
    })
  }
  const queue = new WriteQueue(writer, idleTransaction)
  return {
    name: 'sqlite',
    place: path,
    async open() {
      try {
        if (opened !== undefined && identityOf(path) === undefined) throw databaseUnavailable(new DatabaseReplaced(path))
        requireSqlite()
        // An empty one in the place of one that was deleted would forget every key without a word.
        if (create && opened === undefined) await createFile(path)
        reader?.close()
        reader = await openSqlite(path, { mode: 'query', busyTimeout })
        opened = identityOf(path)
        isReplaced = false
      } catch (error) {
        throw isDatabaseUnavailable(error) ? error : openFailure(path, error)
      }
    },
    reading: { acquire: () => Promise.resolve(readingSession(reader)) },
    writing: queue,
    maintenance: queue,
    translate,
    // One transaction runs at a time, and each waits for other processes before it begins.
    isRetryable: () => false,
    watch: () => watchFile(path, { interval: watch, check: checked }),
    async close() {
      await queue.close(closeTimeout)
      closed = true
      // First, so that the thread's connection is the last one, which tidies the write-ahead log up.
      reader?.close()
      reader = undefined
      const running = await thread?.catch(() => undefined)
      await running?.close()
    },
  }
}

function memoryEngine({ idleTransaction, pollInterval: watch = defaultPollInterval }: DatabaseTimeouts): Engine {
  let connection: SqliteConnection | undefined
  const channel: WriteChannel = {
    async execute(sql, parameters, options) {
      if (!connection) throw new Error('the database is closed')
      try {
        if (options?.inside && !connection.inTransaction) throw new SqliteFailure('the transaction has ended', 'SQLITE_ABORT')
        return { ...connection.execute(sql, parameters), inTransaction: connection.inTransaction }
      } catch (error) {
        if (error instanceof Error) Object.assign(error, { inTransaction: connection.inTransaction })
        throw error
      }
    },
  }
  const queue = new WriteQueue(() => Promise.resolve(channel), idleTransaction)
  let seen = 0
  return {
    name: 'sqlite',
    place: ':memory:',
    async open() {
      connection = await openSqlite(':memory:', { mode: 'write', busyTimeout: 0 }).catch((error: unknown) => {
        throw openFailure(':memory:', error)
      })
    },
    reading: { acquire: () => memoryReading(queue) },
    writing: queue,
    maintenance: queue,
    translate,
    isRetryable: () => false,
    watch: () => ({
      interval: watch,
      mayHaveChanged: () => {
        const changed = seen !== queue.commits
        seen = queue.commits
        return Promise.resolve(changed)
      },
      [Symbol.dispose]() {},
    }),
    async close() {
      await queue.close(closeTimeout)
      connection?.close()
      connection = undefined
    },
  }
}

function readingSession(reader: SqliteConnection | undefined): Session {
  return {
    async execute(sql, parameters) {
      if (!reader) throw databaseUnavailable(new Error('the database is closed'))
      return reader.execute(sql, parameters)
    },
    begin: rejectWrites,
    commit: rejectWrites,
    rollback: rejectWrites,
    release() {},
  }
}

/** Its own turn in the write queue, so that uncommitted changes are not visible. */
async function memoryReading(queue: Sessions): Promise<Session> {
  const turn = await queue.acquire()
  await turn.begin('serializable')
  return {
    execute: (sql, parameters) => turn.execute(sql, parameters),
    begin: rejectWrites,
    commit: rejectWrites,
    rollback: rejectWrites,
    release: () => void turn.rollback(),
  }
}

function rejectWrites(): Promise<never> {
  return Promise.reject(new Error('`read` is read-only: use `write` for a transaction'))
}

/** Device and number of the file that a path leads to; undefined where there is none. */
function identityOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true })
  return found && `${found.dev}:${found.ino}`
}

/**
 * A connection of its own, which sees every commit of any other, by `PRAGMA data_version`.
 * @param check throws where the path leads to another file than before, so that the connection is none to that file
 */
function watchFile(path: string, { interval, check }: { interval: number; check: () => void }): ChangeWatch {
  let connection: SqliteConnection | undefined
  let seen: unknown
  let disposed = false
  return {
    interval,
    async mayHaveChanged() {
      try {
        check()
      } catch (error) {
        connection?.close()
        connection = undefined
        seen = undefined
        throw error
      }
      if (!connection) {
        const opened = await openSqlite(path, { mode: 'query', busyTimeout })
        if (disposed) opened.close()
        else connection = opened
      }
      const version = connection?.execute('PRAGMA data_version', []).rows[0]?.['data_version']
      const changed = version !== seen
      seen = version
      return changed
    },
    [Symbol.dispose]() {
      disposed = true
      connection?.close()
    },
  }
}

/** Folders and file are private to the user: no other user may read the keys' hashes or replace the file. */
async function createFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  if (isThere) return
  // SQLite gives its -wal and -shm the mode of the file itself.
  const file = await open(path, 'a', 0o600)
  await file.close()
  await chmod(path, 0o600)
  // The file's name must survive a loss of power too; Windows has no such thing.
  if (process.platform === 'win32') return
  const folder = await open(dirname(path), 'r')
  await folder.sync()
  await folder.close()
}

function openFailure(path: string, error: unknown): unknown {
  if (codeOf(error) === sqliteUnavailable) return new SqliteUnavailable(error)
  if (error instanceof SqliteFailure && error.code === 'SQLITE_BUSY') return databaseUnavailable(error)
  if (error instanceof SqliteFailure && error.code === 'SQLITE_NOTADB') {
    return new StorageError(`The file ${path} is not a SQLite database.`, 'Set `db_path` to another file, or move this one away.', error)
  }
  const why = codeOf(error) ?? 'unknown cause'
  return new StorageError(
    `The database file ${path} cannot be opened (${why}).`,
    'The folder must exist, be writable for the user that runs Corral, and be on a local disk: or set `db_path` to another path.',
    error,
  )
}

/** What is wrong with the file or the disk, and not with the statement. */
const broken = /^SQLITE_(BUSY|LOCKED|CANTOPEN|IOERR|FULL|CORRUPT|NOTADB|READONLY|PROTOCOL|NOMEM)/

function translate(error: unknown): unknown {
  if (error instanceof SqliteThreadGone) return databaseUnavailable(error)
  return broken.test(codeOf(error) ?? '') ? databaseUnavailable(error) : error
}
