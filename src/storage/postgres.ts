import type { Client, ClientConfig, Pool, PoolClient, QueryResult } from 'pg'
import type { PostgresBackend } from './config.ts'
import type { Engine, EngineOptions } from './engine.ts'
import { isUniqueViolation, databaseUnavailable } from './errors.ts'
import { connectionConfig, placeOf, poolConfig, configureSession, tlsOptions } from './postgres-connection.ts'
import { listenForRevisions } from './postgres-listen.ts'
import { PollingConnection } from './postgres-poll.ts'
import { isDisconnected, isSerializationFailure, isUnreachable, translate } from './postgres-errors.ts'
import type { StatementResult, Isolation, Session, Sessions } from './session.ts'

export function postgresEngine(backend: PostgresBackend, { timeouts, create: make = true }: EngineOptions = {}): Engine {
  const statement = timeouts?.statement
  let pool: Pool | undefined
  let config: ClientConfig | undefined
  let closed = false

  const sessions: Sessions = {
    async acquire() {
      if (!pool || closed) throw databaseUnavailable(new Error('the database is closed'))
      return new PostgresSession(pool, await pool.connect())
    },
  }
  const polling = new PollingConnection(async () => {
    const pg = (await import('pg')).default
    const client: Client = await connected(pg.Client, config ?? connectionConfig(backend, false, statement))
    await configureSession(client, backend, statement)
    return client
  })
  return {
    name: 'postgres',
    place: placeOf(backend),
    async open() {
      const pg = (await import('pg')).default
      const ssl = await tlsOptions(backend, async (choice) => {
        await using probe = await connected(pg.Client, connectionConfig(backend, choice, statement))
        await probe.query('select 1')
      })
      config = connectionConfig(backend, ssl, statement)
      await pool?.end()
      const opened = new pg.Pool({ ...config, ...poolConfig(backend, statement) })
      // An idle connection that breaks is replaced when one is needed.
      opened.on('error', () => undefined)
      try {
        const client = await opened.connect()
        try {
          if (make && backend.schema !== undefined) await createSchema(client, backend.schema)
        } finally {
          client.release()
        }
      } catch (error) {
        await opened.end()
        throw error
      }
      if (closed) await opened.end()
      pool = opened
    },
    reading: sessions,
    polling,
    writing: sessions,
    maintenance: { acquire: () => sessionWithTimeout(backend, config) },
    translate,
    isRetryable: isSerializationFailure,
    watch: (hint) => listenForRevisions({ hint, config: () => config, interval: timeouts?.pollInterval }),
    async close() {
      closed = true
      polling.close()
      await pool?.end()
    },
  }
}

async function createSchema(client: PoolClient, schema: string): Promise<void> {
  const { rows } = await client.query('select 1 from pg_catalog.pg_namespace where nspname = $1', [schema])
  if (rows.length > 0) return
  try {
    await client.query(`create schema if not exists ${client.escapeIdentifier(schema)}`)
  } catch (error) {
    // Another process has just made it.
    if (!isUniqueViolation(error)) throw error
  }
}

class PostgresSession implements Session {
  readonly #pool: Pick<Pool, 'connect'>
  #client: PoolClient | undefined
  /** The connection is not to be used again. */
  #broken: Error | undefined
  #isFresh = true
  /** Statements are asked one after the other, also where their caller does not wait. */
  #running: Promise<void> = Promise.resolve()

  constructor(pool: Pick<Pool, 'connect'>, client: PoolClient) {
    this.#pool = pool
    this.#client = this.#take(client)
  }

  readonly #onError = (error: Error): void => {
    this.#broken = error
  }

  async execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    const isFirst = this.#isFresh
    this.#isFresh = false
    try {
      return await this.#run(sql, parameters)
    } catch (error) {
      // A connection that lay in the pool while the server was restarted: nothing has been done on it.
      const isStale = isFirst && isDisconnected(error) && /^\s*(select|with|begin|start)\b/i.test(sql)
      if (!isStale) throw error
      await this.#exchange(error)
      return await this.#run(sql, parameters)
    }
  }

  async #run(sql: string, parameters: readonly unknown[]): Promise<StatementResult> {
    try {
      const { rows, rowCount } = await this.#query(sql, parameters)
      return { rows, changes: rowCount ?? 0 }
    } catch (error) {
      if (isUnreachable(error)) this.#broken = error as Error
      throw error
    }
  }

  async #exchange(error: unknown): Promise<void> {
    this.release(error as Error)
    this.#client = this.#take(await this.#pool.connect())
    this.#broken = undefined
  }

  async begin(isolation: Isolation): Promise<void> {
    await this.execute(`begin isolation level ${isolation}`, [])
  }

  async commit(): Promise<void> {
    const { command } = await this.#query('commit').catch((error: unknown) => {
      this.#broken = error as Error
      throw error
    })
    // The response to COMMIT where an earlier statement had failed.
    if (command === 'ROLLBACK') throw new Error('the transaction was rolled back: a statement in it failed')
  }

  async rollback(): Promise<void> {
    if (this.#broken) return
    await this.#query('rollback').catch((error: unknown) => {
      this.#broken = error as Error
    })
  }

  release(error?: Error): void {
    const client = this.#client
    this.#client = undefined
    client?.off('error', this.#onError)
    client?.release(error ?? this.#broken)
  }

  #take(client: PoolClient): PoolClient {
    client.on('error', this.#onError)
    return client
  }

  async #query(sql: string, parameters: readonly unknown[] = []): Promise<QueryResult<Record<string, unknown>>> {
    const before = this.#running
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running = promise
    await before
    try {
      if (!this.#client) throw databaseUnavailable(this.#broken ?? new Error('the connection has been given back'))
      return await this.#client.query<Record<string, unknown>>(sql, parameters as unknown[])
    } finally {
      resolve()
    }
  }
}

/** One connection outside of the pool, which may take as long as it needs. */
async function sessionWithTimeout(backend: PostgresBackend, config: ClientConfig | undefined): Promise<Session> {
  const pg = await import('pg')
  const single = new pg.Pool({ ...config, ...poolConfig(backend, 0), max: 1, query_timeout: 0 })
  single.on('error', () => undefined)
  const session = new PostgresSession(single, await single.connect())
  return {
    execute: (sql, parameters) => session.execute(sql, parameters),
    begin: (isolation) => session.begin(isolation),
    commit: () => session.commit(),
    rollback: () => session.rollback(),
    release() {
      session.release()
      void single.end()
    },
  }
}

async function connected(ClientClass: typeof Client, config: ClientConfig): Promise<Client & AsyncDisposable> {
  const client = new ClientClass(config)
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    client.end().catch(() => undefined)
    throw error
  }
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}
