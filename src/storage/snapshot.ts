import { unavailable } from '../errors.ts'
import type { Events } from '../telemetry/events.ts'
import type { Database, Reader, Watching } from './database.ts'
import { EarlyLooks } from './early-looks.ts'
import { isOutOfReach } from './errors.ts'

/** What every replica holds in memory of something stored, swapped whole when its revision changes. */
export interface Snapshot<T> extends Disposable {
  /** The latest known. Throws ApiError 503 (Retry-After) before the first load, and once the store has been out of reach for more than a minute. */
  current(): T
  /** Loads anew now; for the process that made a change itself and wants to see it at once. Throws what loading throws. */
  refresh(): Promise<void>
  /**
   * For whoever is asked about something that is not there, and may have come a moment ago. True once what is known is as new as this call; false
   * where looking or reading has failed, or a second has gone by; never rejects. All who ask within 50 ms share one look at the revision.
   */
  catchUp(): Promise<boolean>
  /** Resolves after the first load, or its failure. */
  readonly ready: Promise<void>
}

export interface SnapshotOptions<T> {
  readonly database: Pick<Database, 'read' | 'watch'>
  /** The revision that changes with it. */
  readonly scope: string
  /** Reads it. */
  load(read: Database['read']): Promise<T>
  readonly events?: Pick<Events, 'unexpected'> | undefined
  /** Told after each swap. */
  readonly onChange?: ((value: T) => void) | undefined
  /** Milliseconds, of any clock that only goes forward. Default: `performance.now`. */
  readonly now?: (() => number) | undefined
  /** Milliseconds between two looks that `catchUp` causes. Default 50. */
  readonly looksApart?: number | undefined
}

/** Milliseconds for which what is known stays good while the store is out of reach. */
const longestStale = 60_000

/** Milliseconds before a load that failed is tried again. */
const loadAgain = 1000

/** Loads at once, in the background, and after each change. */
export function createSnapshot<T>(options: SnapshotOptions<T>): Snapshot<T> {
  return new LoadedSnapshot(options)
}

class LoadedSnapshot<T> implements Snapshot<T> {
  readonly ready: Promise<void>
  readonly #options: SnapshotOptions<T>
  readonly #now: () => number
  readonly #watching: Watching
  readonly #earlyLooks: EarlyLooks
  readonly #firstDone: () => void
  #value: { readonly of: T } | undefined
  /** When it was last certain that the value is the latest. */
  #confirmedAt: number
  #isStale = false
  /** The load that a change or a failure caused last: whether it worked. */
  #loading: Promise<boolean> | undefined
  /** Looks at the revision that worked. */
  #looks = 0
  /** Loads are numbered as they begin: a slow one never replaces what a later one has read. */
  #begun = 0
  #swapped = 0
  #again: ReturnType<typeof setTimeout> | undefined
  #disposed = false

  constructor(options: SnapshotOptions<T>) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#confirmedAt = this.#now()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ready = promise
    this.#firstDone = resolve
    this.#watching = options.database.watch(options.scope, {
      changed: (read) => {
        this.#looks++
        this.#loading = this.#loadInBackground(read)
      },
      failed: () => {
        this.#isStale = true
        resolve()
      },
      looked: () => {
        this.#looks++
        if (!this.#isStale) this.#confirmedAt = this.#now()
      },
    })
    this.#earlyLooks = new EarlyLooks(() => this.#lookEarly(), {
      failed: (error) => options.events?.unexpected(`looking for changes of ${options.scope}`, error),
      apart: options.looksApart,
    })
  }

  current(): T {
    const value = this.#value
    if (!value) throw unavailable('The server has not read this from its database yet.', 1, { code: 'database_unavailable' })
    if (this.#isStale && this.#now() - this.#confirmedAt > longestStale) {
      throw unavailable('The database is out of reach, and what was last read from it is too old.', 5, { code: 'database_unavailable' })
    }
    return value.of
  }

  refresh(): Promise<void> {
    return this.#load(this.#options.database.read)
  }

  catchUp(): Promise<boolean> {
    return this.#earlyLooks.ask()
  }

  async #lookEarly(): Promise<boolean> {
    const before = this.#looks
    await this.#watching.look()
    if (this.#looks === before) return false
    // What the look has found, or what an earlier one found and is still being read.
    return (await this.#loading) ?? false
  }

  async #load(read: Reader): Promise<void> {
    const number = ++this.#begun
    // What it reads is as old as this at most; it may be read much later that it was so.
    const asOf = this.#now()
    const value = await this.#options.load(read)
    if (number < this.#swapped || this.#disposed) return
    this.#swapped = number
    this.#value = { of: value }
    this.#confirmedAt = Math.max(this.#confirmedAt, asOf)
    this.#isStale = false
    this.#options.onChange?.(value)
  }

  /** Whether it worked. */
  async #loadInBackground(read = this.#options.database.read): Promise<boolean> {
    clearTimeout(this.#again)
    // What has changed is not known until it has been read.
    this.#isStale = true
    try {
      await this.#load(read)
      return !this.#disposed
    } catch (error) {
      if (this.#disposed) return false
      this.#isStale = true
      if (!isOutOfReach(error)) this.#options.events?.unexpected(`reading ${this.#options.scope}`, error)
      this.#again = setTimeout(() => void (this.#loading = this.#loadInBackground(read)), loadAgain)
      this.#again.unref()
      return false
    } finally {
      this.#firstDone()
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    clearTimeout(this.#again)
    this.#watching[Symbol.dispose]()
    this.#firstDone()
  }
}
