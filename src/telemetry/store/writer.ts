import { mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { openSqlite, type SqliteConnection } from '../../runtime/sqlite.ts'
import type { SpanRecord } from '../traces/span.ts'
import type { TraceStoreLimits, TraceStoreWriter } from '../worker/messages.ts'
import { Retention } from './retention.ts'
import { partOf, spanParameters, traceParameters } from './rows.ts'
import { prepareStore } from './schema.ts'
import { extendTrace, saveSpan, saveTrace } from './statements.ts'

/** Milliseconds that another process may hold the file. */
const busyTimeout = 5_000

/** Milliseconds between two checks for expired traces, and whether the file is still the one that was opened. */
const checkInterval = 60_000

interface TraceStoreDeps {
  /** Unix milliseconds. */
  readonly now?: (() => number) | undefined
  readonly connect?: typeof openSqlite | undefined
}

/**
 * Opens the store for writing, making the file and its folder where there are none; several processes may write one file. Each call of `write` is one
 * transaction, and blocks its thread. Both throw where the file cannot be written (SqliteFailure, TraceStoreError); the next call may succeed.
 */
export async function openTraceStoreWriter(path: string, limits: TraceStoreLimits, deps: TraceStoreDeps = {}): Promise<TraceStoreWriter> {
  const writer = new SqliteTraceStoreWriter(path, limits, deps)
  await writer.open()
  return writer
}

class SqliteTraceStoreWriter implements TraceStoreWriter {
  readonly #path: string
  readonly #limits: TraceStoreLimits
  readonly #now: () => number
  readonly #connect: typeof openSqlite
  #opened: { readonly connection: SqliteConnection; readonly retention: Retention; readonly file: string } | undefined
  #lookAt = 0

  constructor(path: string, limits: TraceStoreLimits, { now = Date.now, connect = openSqlite }: TraceStoreDeps) {
    this.#path = path
    this.#limits = limits
    this.#now = now
    this.#connect = connect
  }

  async open(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
    // Traces are private to the owner of the file; SQLite’s other files have its mode.
    await (await open(this.#path, 'a', 0o600)).close()
    const connection = await this.#connect(this.#path, { mode: 'write', busyTimeout })
    try {
      prepareStore(connection, this.#path)
      this.#opened = { connection, retention: new Retention(connection, this.#limits), file: await identityOf(this.#path) }
    } catch (error) {
      connection.close()
      throw error
    }
  }

  async write(records: readonly SpanRecord[]): Promise<void> {
    const now = this.#now()
    const isTime = now >= this.#lookAt
    if (isTime) {
      this.#lookAt = now + checkInterval
      await this.#reopenIfGone()
    }
    if (!this.#opened) await this.open()
    const { connection, retention } = this.#opened!
    if (records.length > 0) inTransaction(connection, () => save(connection, records))
    if (isTime) retention.deleteOlder(now)
    retention.shrink()
  }

  async close(): Promise<void> {
    this.#opened?.connection.close()
    this.#opened = undefined
  }

  /** The file was removed or replaced: what is written to the old one is lost. */
  async #reopenIfGone(): Promise<void> {
    if (!this.#opened || this.#opened.file === (await identityOf(this.#path))) return
    await this.close()
  }
}

async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(path)
    return `${dev} ${ino}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone'
    throw error
  }
}

function save(connection: SqliteConnection, records: readonly SpanRecord[]): void {
  const ids = new Map<string, number>()
  for (const record of records) {
    const key = `${record.traceId} ${partOf(record)}`
    let id = ids.get(key)
    if (id === undefined || record.kind !== 'client') {
      const [row] = connection.execute(record.kind === 'server' ? saveTrace : extendTrace, traceParameters(record)).rows
      id = Number(row?.['id'])
      ids.set(key, id)
    }
    connection.execute(saveSpan, spanParameters(id, record))
  }
}

/** Holds the file from its beginning: a transaction that only then began to write would fail where another process wrote in between. */
function inTransaction(connection: SqliteConnection, work: () => void): void {
  connection.execute('begin immediate', [])
  try {
    work()
    connection.execute('commit', [])
  } catch (error) {
    // A full disk ends the transaction by itself.
    if (connection.inTransaction) connection.execute('rollback', [])
    throw error
  }
}
