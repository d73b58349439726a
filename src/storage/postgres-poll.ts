import type { Client, QueryConfig } from 'pg'
import { databaseUnavailable } from './errors.ts'
import { isUnreachable } from './postgres-errors.ts'
import type { StatementResult, Session, Sessions } from './session.ts'

/** Timeout in milliseconds of a connection that has responded before, and of a new one. */
const responseTimeout = { current: 300, fresh: 5000 }

/**
 * One connection beside the pool, for polling for changes and reading them. It waits neither for a full pool nor for a stalled connection: one that
 * does not respond soon is closed, and the statement is run again on a new one. Statements run one after the other, so that the time of each
 * is its own; they may run twice, and must only read.
 */
export class PollingConnection implements Sessions {
  readonly #connect: () => Promise<Client>
  #client: Client | undefined
  #running: Promise<unknown> = Promise.resolve()
  #closed = false

  /** @param connect gives a connection that is ready for statements */
  constructor(connect: () => Promise<Client>) {
    this.#connect = connect
  }

  acquire(): Promise<Session> {
    return Promise.resolve({
      execute: (sql, parameters) => this.#inTurn(() => this.#execute(sql, parameters)),
      begin: rejectWrites,
      commit: rejectWrites,
      rollback: rejectWrites,
      release() {},
    })
  }

  close(): void {
    this.#closed = true
    this.#drop()
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#running.then(work)
    this.#running = result.catch(() => undefined)
    return await result
  }

  async #execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const current = this.#client
    if (current) {
      try {
        return await runTimedQuery(current, { sql, parameters, timeout: responseTimeout.current })
      } catch (error) {
        if (!isUnreachable(error)) throw error
        this.#drop()
      }
    }
    if (this.#closed) throw databaseUnavailable(new Error('the database is closed'))
    const fresh = await this.#connect()
    // Lost while idle: the next statement opens a new one.
    fresh.on('error', () => this.#drop(fresh))
    fresh.on('end', () => this.#drop(fresh))
    this.#client = fresh
    try {
      return await runTimedQuery(fresh, { sql, parameters, timeout: responseTimeout.fresh })
    } catch (error) {
      if (isUnreachable(error)) this.#drop(fresh)
      throw error
    } finally {
      if (this.#closed) this.#drop(fresh)
    }
  }

  #drop(client = this.#client): void {
    if (!client || this.#client !== client) return
    this.#client = undefined
    client.end().catch(() => undefined)
    // A stalled peer does not respond to the termination either.
    destroy(client)
  }
}

interface TimedQuery {
  readonly sql: string
  readonly parameters: readonly unknown[]
  /** Milliseconds. */
  readonly timeout: number
}

async function runTimedQuery(client: Client, { sql, parameters, timeout }: TimedQuery): Promise<StatementResult> {
  // `query_timeout` is missing in the types of `pg`, which has it: https://node-postgres.com/apis/client
  const query: QueryConfig & { query_timeout: number } = { text: sql, values: [...parameters], query_timeout: timeout }
  const { rows, rowCount } = await client.query<Record<string, unknown>>(query)
  return { rows, changes: rowCount ?? 0 }
}

function destroy(client: Client): void {
  const { connection } = client as Client & { connection?: { stream?: { destroy?: () => void } } }
  connection?.stream?.destroy?.()
}

function rejectWrites(): Promise<never> {
  return Promise.reject(new Error('this connection is read-only'))
}
