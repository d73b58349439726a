import type { Events } from '../telemetry/events.ts'
import { insertAll, insertEach } from './add-rows.ts'
import type { PostgresBackend, SqliteBackend } from './config.ts'
import type { Database } from './database.ts'
import { kyselyOver } from './driver.ts'
import type { DatabaseTimes, Engine, EngineOptions } from './engine.ts'
import { isOutOfReach } from './errors.ts'
import { Gate, type Way } from './gate.ts'
import { migrate } from './migrate.ts'
import type { Migration } from './migration.ts'
import { postgresEngine } from './postgres.ts'
import { RevisionWatch } from './revisions.ts'
import type { Session, Sessions } from './session.ts'
import { sqliteEngine } from './sqlite.ts'

export interface DatabaseDeps {
  readonly events?: Pick<Events, 'dependencyFailed' | 'dependencyBack'> | undefined
  /** Default: all of this version. */
  readonly migrations?: readonly Migration[] | undefined
  readonly times?: DatabaseTimes | undefined
}

/** A database that need not be open yet. */
export interface OpeningDatabase extends Database {
  /** Resolves once it is open and its tables are up to date. Throws ApiError 503, or StorageError where trying again does not help. */
  open(): Promise<void>
  /** Tries in the background until it is open. */
  keepTrying(): void
}

export function engineOf(backend: SqliteBackend | PostgresBackend, options: EngineOptions): Engine {
  return backend.engine === 'sqlite' ? sqliteEngine(backend.path, options) : postgresEngine(backend, options)
}

/** How often a transaction that has lost a race is run again. */
const mostTries = 8

export function databaseOver(backend: SqliteBackend | PostgresBackend, deps: DatabaseDeps = {}): OpeningDatabase {
  const engine = engineOf(backend, deps)
  const gate = new Gate({ events: deps.events, open: () => openAndMigrate(engine, deps) })
  // A file is read and written by different means; a server that answers does both.
  const ways =
    engine.name === 'sqlite' ? ({ reading: 'reading', writing: 'writing' } as const) : ({ reading: 'all', writing: 'all' } as const)
  const read = kyselyOver(engine.name, guarded(engine.reading, { engine, gate, way: ways.reading }))
  const writing = guarded(engine.writing, { engine, gate, way: ways.writing })
  const writer = kyselyOver(engine.name, writing)
  const soon = engine.looking ? kyselyOver(engine.name, guarded(engine.looking, { engine, gate, way: ways.reading })) : read
  const revisions = new RevisionWatch(engine, soon, gate)
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
          if (!engine.isLostRace(error) || tries === mostTries) throw error
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * 2 ** tries))
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
    open: () => gate.open(),
    keepTrying: () => gate.keepTrying(),
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
    const { name, place, reading, upkeep } = engine
    await migrate({ read: kyselyOver(name, reading), write: kyselyOver(name, upkeep) }, { engine: name, place, migrations })
  } catch (error) {
    throw engine.translate(error)
  }
}

/** Sessions behind the gate, their errors translated, and failures to reach the database told. */
function guarded(sessions: Sessions, { engine, gate, way }: { engine: Engine; gate: Gate; way: Way }): Sessions {
  const watched = async <T>(work: Promise<T>): Promise<T> => {
    try {
      const result = await work
      gate.reached(way)
      return result
    } catch (error) {
      const translated = engine.translate(error)
      if (isOutOfReach(translated)) gate.failed(translated, way)
      throw translated
    }
  }
  return {
    async acquire(): Promise<Session> {
      if (!gate.isOpen) await gate.pass()
      const session = await watched(sessions.acquire())
      const each = session.executeEach?.bind(session)
      return {
        execute: (sql, parameters) => watched(session.execute(sql, parameters)),
        ...(each && { executeEach: (sql, parameters) => watched(each(sql, parameters)) }),
        begin: (isolation) => watched(session.begin(isolation)),
        commit: () => watched(session.commit()),
        rollback: () => session.rollback(),
        release: () => session.release(),
      }
    },
  }
}
