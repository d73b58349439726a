import { PostgresAdapter, sql } from 'kysely'
import type { BumpRevision, DatabaseReader, RevisionSubscription } from './database.ts'
import { DatabaseReplaced, type Engine } from './engine.ts'
import { databaseUnavailable } from './errors.ts'
import type { DatabaseGate } from './gate.ts'
import { withTimeout } from '../timing.ts'

/** The channel of PostgreSQL's NOTIFY; the payload is the scope. */
export const revisionChannel = 'corral_revisions'

export const bumpRevision: BumpRevision = async (transaction, scope) => {
  await transaction
    .insertInto('revisions')
    .values({ scope, value: 1 })
    .onConflict((conflict) => conflict.column('scope').doUpdateSet({ value: sql<number>`revisions.value + 1` }))
    .execute()
  if (transaction.getExecutor().adapter instanceof PostgresAdapter) {
    await sql`select pg_notify(${revisionChannel}, ${scope})`.execute(transaction)
  }
}

interface RevisionWatcher {
  /** Called once at first, so that a watcher that loads on it misses nothing, then after each change, with a reader for the change. */
  onChange(read?: DatabaseReader): void
  onError(error: unknown): void
  /** Called after each successful poll, whether or not anything had changed. */
  onPolled?(): void
}

/** Milliseconds that one poll may take. */
const pollTimeout = 5000

/** Polls for changed revisions while there are watchers, and calls those concerned. */
export class RevisionWatch {
  readonly #engine: Engine
  readonly #read: DatabaseReader
  readonly #gate: Pick<DatabaseGate, 'whenOpen' | 'reopen'>
  readonly #scopes = new Map<string, Set<Watched>>()
  #watch: ReturnType<Engine['watch']> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #polling: Promise<void> | undefined
  /** Of the look that is to follow the one under way. */
  #followUp: PromiseWithResolvers<void> | undefined
  #disposed = false

  /**
   * @param read for the polls, and for watchers to read a change with
   * @param gate awaited before each poll; reopens a replaced database
   */
  constructor(engine: Engine, read: DatabaseReader, gate: Pick<DatabaseGate, 'whenOpen' | 'reopen'>) {
    this.#engine = engine
    this.#read = read
    this.#gate = gate
  }

  add(scope: string, watcher: RevisionWatcher): RevisionSubscription {
    const watched: Watched = { watcher, seen: undefined, isFailing: false }
    const all = this.#scopes.get(scope) ?? new Set()
    this.#scopes.set(scope, all.add(watched))
    if (!this.#disposed) {
      this.#watch ??= this.#engine.watch(() => this.poll())
      this.poll()
    }
    return {
      poll: () => this.#pollSoon(false),
      [Symbol.dispose]: () => {
        all.delete(watched)
        if (all.size === 0 && this.#scopes.get(scope) === all) this.#scopes.delete(scope)
        if (this.#scopes.size === 0) this.#stop()
      },
    }
  }

  /** Polls now; a poll under way is followed by another. */
  poll(): void {
    void this.#pollSoon(true)
  }

  dispose(): void {
    this.#disposed = true
    this.#stop()
  }

  #stop(): void {
    clearTimeout(this.#timer)
    this.#watch?.[Symbol.dispose]()
    this.#watch = undefined
  }

  /** @param force also where the engine says that nothing can have changed */
  async #pollSoon(force: boolean): Promise<void> {
    if (this.#disposed || this.#scopes.size === 0) return
    if (!this.#polling) return await this.#startPoll(force)
    // What is under way may have read before the change.
    this.#followUp ??= Promise.withResolvers()
    await this.#followUp.promise
  }

  #startPoll(force: boolean): Promise<void> {
    clearTimeout(this.#timer)
    this.#polling = this.#pollOnce(force).finally(() => {
      this.#polling = undefined
      this.#schedule()
    })
    return this.#polling
  }

  #schedule(): void {
    const followUp = this.#followUp
    this.#followUp = undefined
    if (this.#disposed || !this.#watch) followUp?.resolve()
    else if (followUp) void this.#startPoll(true).finally(followUp.resolve)
    else {
      this.#timer = setTimeout(() => void this.#startPoll(false), this.#watch.interval)
      this.#timer.unref()
    }
  }

  async #pollOnce(force: boolean): Promise<void> {
    try {
      await this.#gate.whenOpen()
      const mayHaveChanged = await this.#watch?.mayHaveChanged()
      const isAwaited = [...this.#scopes.values()].some((all) => [...all].some(({ seen, isFailing }) => seen === undefined || isFailing))
      if (force || mayHaveChanged || isAwaited)
        this.#compare(await withTimeout(pollTimeout, this.#values(), () => new Error(`no response within ${pollTimeout} ms`)))
      this.#each(({ watcher }) => watcher.onPolled?.())
    } catch (thrown) {
      const error = thrown instanceof DatabaseReplaced ? databaseUnavailable(thrown) : thrown
      if (thrown instanceof DatabaseReplaced) this.#gate.reopen(error)
      this.#each((watched) => {
        watched.isFailing = true
        watched.watcher.onError(error)
      })
    }
  }

  async #values(): Promise<Map<string, number>> {
    const rows = await this.#read
      .selectFrom('revisions')
      .select(['scope', 'value'])
      .where('scope', 'in', [...this.#scopes.keys()])
      .execute()
    return new Map(rows.map(({ scope, value }) => [scope, value]))
  }

  #compare(values: ReadonlyMap<string, number>): void {
    for (const [scope, all] of this.#scopes) {
      const value = values.get(scope) ?? 0
      for (const watched of all) {
        const hasChanged = watched.isFailing || watched.seen !== value
        watched.seen = value
        watched.isFailing = false
        if (hasChanged) watched.watcher.onChange(this.#read)
      }
    }
  }

  #each(notify: (watched: Watched) => void): void {
    for (const all of this.#scopes.values()) for (const watched of all) notify(watched)
  }
}

interface Watched {
  readonly watcher: RevisionWatcher
  /** The revision of its last call; undefined before the first poll. */
  seen: number | undefined
  isFailing: boolean
}
