import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely'
import { checkParameters } from './parameters.ts'
import type { Session, Sessions } from './session.ts'
import type { Tables } from './tables.ts'

/** Kysely over our own sessions. */
export function kyselyOver(engine: 'sqlite' | 'postgres', sessions: Sessions): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new SessionDialect(engine, sessions) })
}

class SessionDialect implements Dialect {
  readonly #engine: 'sqlite' | 'postgres'
  readonly #sessions: Sessions

  constructor(engine: 'sqlite' | 'postgres', sessions: Sessions) {
    this.#engine = engine
    this.#sessions = sessions
  }

  createDriver(): Driver {
    return new SessionDriver(this.#sessions)
  }

  createQueryCompiler(): QueryCompiler {
    return this.#engine === 'sqlite' ? new SqliteQueryCompiler() : new PostgresQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    return this.#engine === 'sqlite' ? new QueuedSqliteAdapter() : new PostgresAdapter()
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return this.#engine === 'sqlite' ? new SqliteIntrospector(db) : new PostgresIntrospector(db)
  }
}

/** The sessions queue by themselves: Kysely's own queue would block forever after a session could not be acquired. */
class QueuedSqliteAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

class SessionDriver implements Driver {
  readonly #sessions: Sessions

  constructor(sessions: Sessions) {
    this.#sessions = sessions
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SessionConnection> {
    return new SessionConnection(await this.#sessions.acquire())
  }

  async beginTransaction(connection: SessionConnection, settings: TransactionSettings): Promise<void> {
    await connection.session.begin(settings.isolationLevel === 'serializable' ? 'serializable' : 'read committed')
  }

  async commitTransaction(connection: SessionConnection): Promise<void> {
    await connection.session.commit()
  }

  async rollbackTransaction(connection: SessionConnection): Promise<void> {
    await connection.session.rollback()
  }

  async releaseConnection(connection: SessionConnection): Promise<void> {
    connection.session.release()
  }

  async destroy(): Promise<void> {}
}

class SessionConnection implements DatabaseConnection {
  readonly session: Session

  constructor(session: Session) {
    this.session = session
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    checkParameters(parameters)
    const { rows, changes } = await this.session.execute(sql, parameters)
    return { rows: rows as R[], numAffectedRows: BigInt(changes) }
  }

  // oxlint-disable-next-line require-yield -- the interface wants a generator
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('rows are read in pages (storage/pages.ts), not streamed')
  }
}
