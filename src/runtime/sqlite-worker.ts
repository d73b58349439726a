// The thread of sqlite-thread.ts: opens the file, then runs one statement after the other.
import { parentPort, workerData } from 'node:worker_threads'
import { openSqlite, SqliteFailure } from './sqlite.ts'
import type { ThreadResponse, ThreadFailure, ThreadRequest } from './sqlite-thread.ts'

function respond(message: ThreadResponse): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(message)
}

function toThreadFailure(error: unknown): ThreadFailure {
  if (error instanceof SqliteFailure) return { name: error.name, message: error.message, code: error.code }
  return error instanceof Error ? { name: error.name, message: error.message } : { name: 'Error', message: String(error) }
}

async function serve({ path, busyTimeout }: { path: string; busyTimeout: number }): Promise<void> {
  try {
    const connection = await openSqlite(path, { mode: 'write', busyTimeout })
    parentPort?.on('message', ({ id, sql, parameters, inside }: ThreadRequest) => {
      try {
        if (inside && !connection.inTransaction) throw new SqliteFailure('the transaction has ended', 'SQLITE_ABORT')
        if (sql === undefined) {
          connection.close()
          respond({ id, inTransaction: false })
          return
        }
        const result = connection.execute(sql, parameters)
        respond({ id, result, inTransaction: connection.inTransaction })
      } catch (error) {
        respond({ id, failure: toThreadFailure(error), inTransaction: connection.inTransaction })
      }
    })
    respond({ id: 0, inTransaction: false })
  } catch (error) {
    respond({ id: 0, failure: toThreadFailure(error), inTransaction: false })
  }
}

await serve(workerData as { path: string; busyTimeout: number })
