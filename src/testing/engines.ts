import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { Secret } from '../secret.ts'
import type { PostgresBackend, RedisBackend, SqliteBackend } from '../storage/config.ts'
import type { Database } from '../storage/database.ts'
import { type DatabaseDeps, openDatabase } from '../storage/open.ts'

/** An empty database of its own; deleted on disposal. */
export interface FreshBackend<B> extends AsyncDisposable {
  readonly backend: B
}

export interface TestEngine {
  readonly name: 'sqlite' | 'postgres'
  /** An empty database, for tests that open it themselves, several times or in several processes. */
  fresh(): Promise<FreshBackend<SqliteBackend | PostgresBackend>>
  /** An empty database, open and its tables made. */
  open(deps?: DatabaseDeps): Promise<Database>
}

const sqlite: TestEngine = {
  name: 'sqlite',
  async fresh() {
    const folder = await mkdtemp(join(tmpdir(), 'corral-sqlite-'))
    return {
      backend: { engine: 'sqlite', path: join(folder, 'corral.db') },
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    }
  },
  open: (deps) => openFresh(sqlite, deps),
}

/** A server to ask, as `test/services` starts it: `postgres://user:password@host:port/database`. */
function postgres(url: string): TestEngine {
  const engine: TestEngine = {
    name: 'postgres',
    async fresh() {
      const schema = `test_${crypto.randomUUID().replaceAll('-', '')}`
      return {
        backend: { ...postgresAt(url), schema },
        async [Symbol.asyncDispose]() {
          const client = new Client({ connectionString: url })
          await client.connect()
          await client.query(`drop schema if exists ${schema} cascade`)
          await client.end()
        },
      }
    },
    open: (deps) => openFresh(engine, deps),
  }
  return engine
}

/** A backend of the whole database that the URL names. */
export function postgresAt(url: string): PostgresBackend {
  const { hostname, port, pathname, username, password } = new URL(url)
  return {
    engine: 'postgres',
    host: hostname,
    port: Number(port || 5432),
    database: pathname.slice(1) || undefined,
    user: decodeURIComponent(username) || undefined,
    password: password === '' ? undefined : new Secret(decodeURIComponent(password)),
    poolSize: 5,
  }
}

async function openFresh(engine: TestEngine, deps?: DatabaseDeps): Promise<Database> {
  const place = await engine.fresh()
  const database = await openDatabase(place.backend, deps)
  return {
    engine: database.engine,
    place: database.place,
    open: () => database.open(),
    read: database.read,
    write: (work, options) => database.write(work, options),
    add: (table, texts) => database.add(table, texts),
    statement: (statement) => database.statement(statement),
    watch: (scope, watcher) => database.watch(scope, watcher),
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]()
      await place[Symbol.asyncDispose]()
    },
  }
}

const { CORRAL_TEST_POSTGRES: postgresUrl, CORRAL_TEST_REDIS: redisUrl, CORRAL_TEST_PROMTOOL } = process.env

/** SQLite always; PostgreSQL where `CORRAL_TEST_POSTGRES` names a server (`npm run test:services`). */
export const engines: readonly TestEngine[] = postgresUrl ? [sqlite, postgres(postgresUrl)] : [sqlite]

/** Prometheus' own checker of metrics, where `CORRAL_TEST_PROMTOOL` names it. */
export const promtool: string | undefined = CORRAL_TEST_PROMTOOL

/** A Redis, where `CORRAL_TEST_REDIS` names one. */
export interface TestRedis {
  readonly backend: RedisBackend
  readonly url: string
  /** A unique prefix of keys, ending in a colon. */
  freshPrefix(): string
}

export const redis: TestRedis | undefined = redisUrl
  ? {
      url: redisUrl,
      backend: redisAt(redisUrl),
      freshPrefix: () => `test:${crypto.randomUUID()}:`,
    }
  : undefined

export function redisAt(url: string): RedisBackend {
  const { hostname, port, password, username, protocol } = new URL(url)
  return {
    engine: 'redis',
    host: hostname,
    port: Number(port || 6379),
    user: decodeURIComponent(username) || undefined,
    password: password === '' ? undefined : new Secret(decodeURIComponent(password)),
    tls: protocol === 'rediss:',
  }
}
