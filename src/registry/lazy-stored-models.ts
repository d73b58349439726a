import { existsSync } from 'node:fs'
import { unavailable } from '../errors.ts'
import type { StoredIndex, StoredModels } from './stored-models.ts'

export interface LazyStoredModelsOptions {
  /** The database's file. As long as there is none, nobody has registered a model. */
  readonly path: string
  readonly open: () => Promise<StoredModels>
  /** Told when it cannot be opened; it is tried again when it is next needed. */
  readonly onFailure: (error: unknown) => void
  /** Milliseconds. */
  readonly times?: { readonly start: number; readonly look: number }
}

/** The start is over by then, and loading what a database takes keeps no port from being listened on. */
const defaultTimes = { start: 20, look: 1_000 }

/**
 * Registered models in a database that nobody asked for: its file in Corral's home is opened soon after the start where it is there, else when
 * the first model is registered, here or by another process. So a server without it starts without loading any of that.
 */
export function lazyStoredModels(options: LazyStoredModelsOptions): StoredModels {
  return new LazyStoredModels(options)
}

const emptyIndex: StoredIndex = { all: [], named: () => [] }

class LazyStoredModels implements StoredModels {
  readonly ready: Promise<void>
  readonly #options: LazyStoredModelsOptions
  readonly #timers: ReturnType<typeof setTimeout>[] = []
  #opening: Promise<StoredModels> | undefined
  #opened: StoredModels | undefined
  #isThere: boolean
  #isDisposed = false

  constructor(options: LazyStoredModelsOptions) {
    this.#options = options
    const { start, look } = options.times ?? defaultTimes
    this.#isThere = existsSync(options.path)
    if (!this.#isThere) {
      this.ready = Promise.resolve()
      this.#timers.push(setInterval(() => this.#look(), look))
    } else {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.ready = promise
      const open = (): void => void this.#open().then((stored) => stored.ready.then(resolve), resolve)
      this.#timers.push(setTimeout(open, start))
    }
    for (const timer of this.#timers) timer.unref()
  }

  current(): StoredIndex {
    if (this.#opened) return this.#opened.current()
    if (!this.#isThere) return emptyIndex
    if (!this.#opening) this.#openInBackground()
    throw unavailable('The registered models have not been loaded from the database yet.', 1, { code: 'database_unavailable' })
  }

  async create(...input: Parameters<StoredModels['create']>): ReturnType<StoredModels['create']> {
    const stored = await this.#open()
    return stored.create(...input)
  }

  async delete(...input: Parameters<StoredModels['delete']>): Promise<void> {
    const stored = await this.#open()
    return stored.delete(...input)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#opening?.then(
      (stored) => stored[Symbol.asyncDispose](),
      () => undefined,
    )
  }

  #look(): void {
    if (existsSync(this.#options.path)) this.#openInBackground()
  }

  #openInBackground(): void {
    this.#open().catch((error: unknown) => this.#options.onFailure(error))
  }

  #open(): Promise<StoredModels> {
    if (this.#isDisposed) return Promise.reject(unavailable('The server is shutting down.', 1))
    for (const timer of this.#timers.splice(0)) clearTimeout(timer)
    this.#opening ??= this.#options.open().then(
      async (stored) => {
        // As long as nothing is known of what it holds, what was known before goes on.
        if (!this.#isThere) await stored.ready
        this.#isThere = true
        this.#opened = stored
        return stored
      },
      (error: unknown) => {
        this.#opening = undefined
        throw error
      },
    )
    return this.#opening
  }
}
