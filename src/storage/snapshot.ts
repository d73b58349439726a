import { ApiError, unavailable } from '../errors.ts'
import type { Events } from '../telemetry/events.ts'
import type { Database, DatabaseReader, RevisionSubscription } from './database.ts'
import { OnDemandPoll } from './on-demand-poll.ts'
import { isDatabaseUnavailable, SqliteUnavailable } from './errors.ts'

/** What every replica holds in memory of something stored, swapped whole when its revision changes. */
export interface DatabaseSnapshot<T> extends Disposable {
  /** The latest known. Throws ApiError 503 (Retry-After) before the first load, and once the store has been out of reach for more than a minute. */
  current(): T
  /** Reloads now, for the process that made a change itself. Throws what loading throws. */
  refresh(): Promise<void>
  /**
   * For a look-up that found nothing, in case it was added a moment ago. True once the snapshot is as new as this call; false if polling or reading
   * failed, or after a second; never rejects. Calls within 50 ms share one poll of the revision.
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
  /** Called after each swap. */
  readonly onChange?: ((value: T) => void) | undefined
  /** Milliseconds, of any clock that only goes forward. Default: `performance.now`. */
  readonly now?: (() => number) | undefined
  /** Milliseconds between two polls that `catchUp` causes. Default 50. */
  readonly minPollInterval?: number | undefined
}

/** Milliseconds for which the snapshot remains valid while the database is unavailable. */
const maxStaleness = 60_000

/** Milliseconds before a load that failed is tried again. */
const retryDelay = 1000

/** Loads at once, in the background, and after each change. */
export function createSnapshot<T>(options: SnapshotOptions<T>): DatabaseSnapshot<T> {
  return new LoadedSnapshot(options)
}

class LoadedSnapshot<T> implements DatabaseSnapshot<T> {
  readonly ready: Promise<void>
  readonly #options: SnapshotOptions<T>
  readonly #now: () => number
  readonly #subscription: RevisionSubscription
  readonly #onDemandPoll: OnDemandPoll
  readonly #resolveReady: () => void
  #value: { readonly of: T } | undefined
  /** When it was last certain that the value is the latest. */
  #confirmedAt: number
  #isStale = false
  /** The database can never be opened. */
  #unusable: ApiError | undefined
  /** The load that a change or a failure caused last: whether it worked. */
  #loading: Promise<boolean> | undefined
  /** Looks at the revision that worked. */
  #pollsDone = 0
  /** Loads are numbered as they begin: a slow one never replaces what a later one has read. */
  #loadsStarted = 0
  #loadedNumber = 0
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #disposed = false

  constructor(options: SnapshotOptions<T>) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#confirmedAt = this.#now()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ready = promise
    this.#resolveReady = resolve
    this.#subscription = options.database.watch(options.scope, {
      onChange: (read) => {
        this.#pollsDone++
        this.#loading = this.#loadInBackground(read)
      },
      onError: (error) => {
        this.#isStale = true
        if (error instanceof ApiError && error.cause instanceof SqliteUnavailable) this.#unusable = error
        resolve()
      },
      onPolled: () => {
        this.#pollsDone++
        if (!this.#isStale) this.#confirmedAt = this.#now()
      },
    })
    this.#onDemandPoll = new OnDemandPoll(() => this.#pollAndLoad(), {
      onError: (error) => options.events?.unexpected(`polling for changes of ${options.scope}`, error),
      minInterval: options.minPollInterval,
    })
  }

  current(): T {
    const value = this.#value
    if (!value && this.#unusable) throw this.#unusable
    if (!value) throw unavailable('The server has not loaded this from its database yet.', 1, { code: 'database_unavailable' })
    if (this.#isStale && this.#now() - this.#confirmedAt > maxStaleness) {
      throw unavailable('The database is unavailable, and the last data read from it is too old.', 5, { code: 'database_unavailable' })
    }
    return value.of
  }

  refresh(): Promise<void> {
    return this.#load(this.#options.database.read)
  }

  catchUp(): Promise<boolean> {
    return this.#onDemandPoll.request()
  }

  async #pollAndLoad(): Promise<boolean> {
    const before = this.#pollsDone
    await this.#subscription.poll()
    if (this.#pollsDone === before) return false
    // What the look has found, or what an earlier one found and is still being read.
    return (await this.#loading) ?? false
  }

  async #load(read: DatabaseReader): Promise<void> {
    const number = ++this.#loadsStarted
    // What it reads is as old as this at most; it may be read much later that it was so.
    const asOf = this.#now()
    const value = await this.#options.load(read)
    if (number < this.#loadedNumber || this.#disposed) return
    this.#loadedNumber = number
    this.#value = { of: value }
    this.#confirmedAt = Math.max(this.#confirmedAt, asOf)
    this.#isStale = false
    this.#options.onChange?.(value)
  }

  /** Whether it worked. */
  async #loadInBackground(read = this.#options.database.read): Promise<boolean> {
    clearTimeout(this.#retryTimer)
    // What has changed is not known until it has been read.
    this.#isStale = true
    try {
      await this.#load(read)
      return !this.#disposed
    } catch (error) {
      if (this.#disposed) return false
      this.#isStale = true
      if (!isDatabaseUnavailable(error)) this.#options.events?.unexpected(`reading ${this.#options.scope}`, error)
      this.#retryTimer = setTimeout(() => void (this.#loading = this.#loadInBackground(read)), retryDelay)
      this.#retryTimer.unref()
      return false
    } finally {
      this.#resolveReady()
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    clearTimeout(this.#retryTimer)
    this.#subscription[Symbol.dispose]()
    this.#resolveReady()
  }
}
