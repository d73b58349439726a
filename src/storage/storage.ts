import { existsSync } from 'node:fs'
import { unavailable } from '../errors.ts'
import { hasSqlite } from '../runtime/sqlite.ts'
import type { Backend, PostgresBackend, SqliteBackend, StorageConfig } from './config.ts'
import type { Database, DatabaseSource } from './database.ts'
import type { OpenStorage, OpenStorageDeps } from './open.ts'

/** The database of the records: API keys, registered models, the ledger. */
export interface RecordsSource extends DatabaseSource {
  /** False: it is the default file, which does not exist yet, so nothing has been stored. */
  isPresent(): boolean
  /**
   * Resolves once there may be something to read: at once where the database is configured or open, soon after the start where the default file
   * exists, else when it is created, by this process or another.
   */
  whenPresent(): Promise<void>
}

/** The databases of a server, each opened once. Nothing of it is loaded, opened or created before it is used. */
export interface Storage extends AsyncDisposable {
  readonly records: RecordsSource
  /** The entry of `storage.backends` by its name; undefined where there is none. */
  backend(name: string): Backend | undefined
  /**
   * The database of a backend, one for all names of the same file or database. Throws StorageError for a file that cannot be used; a PostgreSQL that
   * is unavailable is opened once it is back.
   */
  open(backend: SqliteBackend | PostgresBackend): Promise<Database>
}

interface StorageDeps extends OpenStorageDeps {
  /** Milliseconds. For tests. */
  readonly times?: StorageTimes | undefined
}

interface StorageTimes {
  /** Before the default file is opened: loading SQL then delays no listening socket. */
  readonly start: number
  /** Between two checks whether the default file exists. */
  readonly poll: number
}

const defaultTimes: StorageTimes = { start: 20, poll: 1_000 }

export function createStorage(config: StorageConfig, deps: StorageDeps = {}): Storage {
  return new LazyStorage(config, deps)
}

class LazyStorage implements Storage {
  readonly records: RecordsSource
  readonly #config: StorageConfig
  readonly #deps: StorageDeps
  readonly #present = Promise.withResolvers<void>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #isPresent: boolean
  #opening: Promise<OpenStorage> | undefined
  #isDisposed = false

  constructor(config: StorageConfig, deps: StorageDeps) {
    this.#config = config
    this.#deps = deps
    this.#isPresent = config.recordsConfigured || this.#fileExists()
    this.records = {
      isPresent: () => this.#isPresent,
      whenPresent: () => this.#whenPresent(),
      open: async () => (await this.#open()).records,
    }
  }

  backend(name: string): Backend | undefined {
    const { backends } = this.#config
    return Object.hasOwn(backends, name) ? backends[name] : undefined
  }

  async open(backend: SqliteBackend | PostgresBackend): Promise<Database> {
    const storage = await this.#open()
    return await storage.open(backend)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    clearTimeout(this.#timer)
    await this.#opening?.then(
      (storage) => storage[Symbol.asyncDispose](),
      () => undefined,
    )
  }

  async #open(): Promise<OpenStorage> {
    if (this.#isDisposed) throw unavailable('The server is shutting down.', 1)
    clearTimeout(this.#timer)
    this.#opening ??= this.#load()
    const storage = await this.#opening
    this.#isPresent = true
    this.#present.resolve()
    return storage
  }

  async #load(): Promise<OpenStorage> {
    try {
      const { openStorage } = await import('./open.ts')
      return await openStorage(this.#config, this.#deps)
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }

  #whenPresent(): Promise<void> {
    if (this.#config.recordsConfigured) this.#present.resolve()
    else if (!this.#timer && !this.#opening) {
      const { start, poll } = this.#deps.times ?? defaultTimes
      if (this.#isPresent) this.#timer = setTimeout(() => this.#present.resolve(), start)
      else this.#timer = setInterval(() => this.#poll(), poll)
      this.#timer.unref()
    }
    return this.#present.promise
  }

  #poll(): void {
    if (!this.#fileExists()) return
    clearTimeout(this.#timer)
    this.#isPresent = true
    this.#present.resolve()
  }

  #fileExists(): boolean {
    const { records } = this.#config
    return records.engine === 'sqlite' && hasSqlite && existsSync(records.path)
  }
}
