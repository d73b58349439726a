import type { Events } from '../telemetry/events.ts'
import { insertAll, insertEach } from './add-rows.ts'
import type { PostgresBackend, SqliteBackend } from './config.ts'
import type { Database } from './database.ts'
import { kyselyOver } from './driver.ts'
import type { DatabaseTimeouts, Engine, EngineOptions } from './engine.ts'
import { isDatabaseUnavailable } from './errors.ts'
import { DatabaseGate, type AccessMode } from './gate.ts'
import { migrate } from './migrate.ts'
import type { Migration } from './migration.ts'
import { postgresEngine } from './postgres.ts'
import { RevisionWatch } from './revisions.ts'
import type { Session, Sessions } from './session.ts'
import { sqliteEngine } from './sqlite.ts'
import { sleep } from '../timing.ts'

export interface DatabaseDeps {
  readonly events?: Pick<Events, 'dependencyFailed' | 'dependencyRecovered'> | undefined
  /** Default: all of this version. */
  readonly migrations?: readonly Migration[] | undefined
  readonly timeouts?: DatabaseTimeouts | undefined
}

/** A database that need not be open yet. */
export interface LazyDatabase extends Database {
  /** Resolves once it is open and its tables are up to date. Throws ApiError 503, or StorageError where trying again does not help. */
  connect(): Promise<void>
  /** Tries in the background until it is open. */
  retryInBackground(): void
}

export function engineOf(backend: SqliteBackend | PostgresBackend, options: EngineOptions): Engine {
  return backend.engine === 'sqlite' ? sqliteEngine(backend.path, options) : postgresEngine(backend, options)
}

/** How often a transaction that has lost a race is run again. */
const maxTries = 8

export function createDatabase(backend: SqliteBackend | PostgresBackend, deps: DatabaseDeps = {}): LazyDatabase {
  const engine = engineOf(backend, deps)
  const gate = new DatabaseGate({ events: deps.events, open: () => openAndMigrate(engine, deps) })
  // A file is read and written by different connections; a database server is available for both or neither.
  const modes =
    engine.name === 'sqlite' ? ({ reading: 'reading', writing: 'writing' } as const) : ({ reading: 'all', writing: 'all' } as const)
  const read = kyselyOver(engine.name, guarded(engine.reading, { engine, gate, mode: modes.reading }))
  const writing = guarded(engine.writing, { engine, gate, mode: modes.writing })
  const writer = kyselyOver(engine.name, writing)
  const polling = engine.polling ? kyselyOver(engine.name, guarded(engine.polling, { engine, gate, mode: modes.reading })) : read
  const revisions = new RevisionWatch(engine, polling, gate)
  return {
    engine: engine.name,
    place: engine.place,
    read,
    async write(work, options) {
      for (let tries = 1; ; tries++) {
        try {
          const transaction = writer.transaction()
          return await (options?.isolation ? transaction.setIsolationLevel(options.isolation) : transaction).execute(work)
        } catch (error) {
          if (!engine.isRetryable(error) || tries === maxTries) throw error
          await sleep(Math.random() * 5 * 2 ** tries)
        }
      }
    },
    async add(table, texts) {
      if (texts.rows.length === 0) return
      if (engine.name === 'sqlite') await insertEach(table, texts, { compiler: writer, sessions: writing })
      else await this.write((transaction) => insertAll(table, texts).execute(transaction))
    },
    statement: async (statement) => (await statement.execute(writer)).rows,
    watch: (scope, watcher) => revisions.add(scope, watcher),
    open() {
      return Promise.resolve(this)
    },
    connect: () => gate.open(),
    retryInBackground: () => gate.retryInBackground(),
    async [Symbol.asyncDispose]() {
      revisions.dispose()
      gate.dispose()
      await engine.close()
    },
  }
}

async function openAndMigrate(engine: Engine, { migrations }: DatabaseDeps): Promise<void> {
  try {
    await engine.open()
    const { name, place, reading, maintenance: upkeep } = engine
    await migrate({ read: kyselyOver(name, reading), write: kyselyOver(name, upkeep) }, { engine: name, place, migrations })
  } catch (error) {
    throw engine.translate(error)
  }
}

/** Sessions behind the gate, with errors translated and failures to reach the database reported. */
function guarded(sessions: Sessions, { engine, gate, mode }: { engine: Engine; gate: DatabaseGate; mode: AccessMode }): Sessions {
  const observed = async <T>(work: Promise<T>): Promise<T> => {
    try {
      const result = await work
      gate.reportSuccess(mode)
      return result
    } catch (error) {
      const translated = engine.translate(error)
      if (isDatabaseUnavailable(translated)) gate.reportFailure(translated, mode)
      throw translated
    }
  }
  return {
    async acquire(): Promise<Session> {
      if (!gate.isOpen) await gate.whenOpen()
      const session = await observed(sessions.acquire())
      const each = session.executeEach?.bind(session)
      return {
        execute: (sql, parameters) => observed(session.execute(sql, parameters)),
        ...(each && { executeEach: (sql, parameters) => observed(each(sql, parameters)) }),
        begin: (isolation) => observed(session.begin(isolation)),
        commit: () => observed(session.commit()),
        rollback: () => session.rollback(),
        release: () => session.release(),
      }
    },
  }
}
