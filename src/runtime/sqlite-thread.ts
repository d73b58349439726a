import { Worker } from 'node:worker_threads'
import { SqliteFailure, type SqliteParameters, type SqliteResult } from './sqlite.ts'

/** A request to the thread: run a statement, or (without one) close the file and end. */
export interface ThreadRequest {
  readonly id: number
  readonly sql?: string
  readonly parameters: SqliteParameters
  /** Refused where no transaction is open, lest it commits by itself. */
  readonly inside: boolean
}

export interface ThreadFailure {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
}

/** Its response: to a request, with the id of that; to its start, with 0. */
export interface ThreadResponse {
  readonly id: number
  readonly inTransaction: boolean
  readonly result?: SqliteResult
  readonly failure?: ThreadFailure
}

/** A statement's result, and whether a transaction is open after it. */
interface ThreadResult extends SqliteResult {
  readonly inTransaction: boolean
}

/** The thread is gone, and with it what it had not acknowledged. */
export class SqliteThreadGone extends Error {
  constructor(cause: unknown) {
    super('the thread that writes the database has ended', { cause })
    this.name = 'SqliteThreadGone'
  }
}

/** A connection that writes, in a thread of its own, so that neither a commit's fsync nor another process's lock stops the event loop. */
export interface SqliteThread {
  readonly gone: boolean
  /**
   * Statements run in the order in which they are asked. Throws SqliteFailure (with `inTransaction` lost where the error ended the transaction),
   * RangeError or SqliteThreadGone.
   */
  execute(sql: string, parameters: SqliteParameters, options?: { inside?: boolean }): Promise<ThreadResult>
  /** Closes the file after what has been asked, and ends the thread. */
  close(): Promise<void>
  /** Ends the thread at once; what it has not acknowledged is rejected. */
  terminate(): Promise<void>
}

interface PendingStatement {
  resolve(executed: ThreadResult): void
  reject(error: unknown): void
}

/** Starts the thread and opens the file in it, making it where there is none. Rejects where it cannot be opened. */
export async function startSqliteThread(path: string, { busyTimeout }: { busyTimeout: number }): Promise<SqliteThread> {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), { workerData: { path, busyTimeout } })
  const pending = new Map<number, PendingStatement>()
  let last = 0
  let ended: SqliteThreadGone | undefined

  const end = (cause: unknown) => {
    ended ??= new SqliteThreadGone(cause)
    for (const statement of pending.values()) statement.reject(ended)
    pending.clear()
  }
  worker.on('error', end)
  worker.on('messageerror', end)
  worker.on('exit', (code) => end(new Error(`exit code ${code}`)))
  worker.on('message', ({ id, result, failure, inTransaction }: ThreadResponse) => {
    const statement = pending.get(id)
    pending.delete(id)
    // Only pending calls keep the process alive.
    if (pending.size === 0) worker.unref()
    if (failure) statement?.reject(Object.assign(toError(failure), { inTransaction }))
    else statement?.resolve({ ...(result ?? { rows: [], changes: 0 }), inTransaction })
  })
  const wait = (id: number): Promise<ThreadResult> => {
    const { promise, resolve, reject } = Promise.withResolvers<ThreadResult>()
    if (ended) reject(ended)
    else {
      if (pending.size === 0) worker.ref()
      pending.set(id, { resolve, reject })
    }
    return promise
  }

  try {
    await wait(0)
  } catch (error) {
    await worker.terminate()
    throw error
  }
  const terminate = async (): Promise<void> => {
    await worker.terminate()
    end(new Error('terminated'))
  }
  const send = (request: Omit<ThreadRequest, 'id'>): Promise<ThreadResult> => {
    const id = ++last
    const result = wait(id)
    if (ended) return result
    try {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage({ id, ...request } satisfies ThreadRequest)
    } catch (error) {
      pending.get(id)?.reject(error)
      pending.delete(id)
    }
    return result
  }
  return {
    get gone() {
      return ended !== undefined
    },
    execute: (sql, parameters, options) => send({ sql, parameters, inside: options?.inside ?? false }),
    async close() {
      if (!ended) await send({ parameters: [], inside: false }).catch(() => undefined)
      await terminate()
    },
    terminate,
  }
}

function toError({ name, message, code }: ThreadFailure): Error {
  if (code !== undefined) return new SqliteFailure(message, code)
  return name === 'RangeError' ? new RangeError(message) : new Error(message)
}
