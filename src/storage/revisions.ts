import { PostgresAdapter, sql } from 'kysely'
import type { BumpRevision, Reader, Watching } from './database.ts'
import { DatabaseReplaced, type Engine } from './engine.ts'
import { outOfReach } from './errors.ts'
import type { Gate } from './gate.ts'

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

export interface Watcher {
  /** Told once at first, so that whoever loads upon it misses nothing, then after each change; with what to read the change by. */
  changed(read?: Reader): void
  failed(error: unknown): void
  /** Told after each look that worked, whether or not anything had changed. */
  looked?(): void
}

/** Milliseconds that one look may take. */
const longestLook = 5000

/** Looks for changed revisions while anybody watches, and tells whom they concern. */
export class RevisionWatch {
  readonly #engine: Engine
  readonly #read: Reader
  readonly #gate: Pick<Gate, 'pass' | 'lost'>
  readonly #scopes = new Map<string, Set<Watched>>()
  #watch: ReturnType<Engine['watch']> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #looking: Promise<void> | undefined
  /** Of the look that is to follow the one under way. */
  #again: PromiseWithResolvers<void> | undefined
  #disposed = false

  /**
   * @param read for the looks, and for whoever is told of a change
   * @param gate passed before each look, and told where the database has to be opened anew
   */
  constructor(engine: Engine, read: Reader, gate: Pick<Gate, 'pass' | 'lost'>) {
    this.#engine = engine
    this.#read = read
    this.#gate = gate
  }

  add(scope: string, watcher: Watcher): Watching {
    const watched: Watched = { watcher, seen: undefined, isFailing: false }
    const all = this.#scopes.get(scope) ?? new Set()
    this.#scopes.set(scope, all.add(watched))
    if (!this.#disposed) {
      this.#watch ??= this.#engine.watch(() => this.look())
      this.look()
    }
    return {
      look: () => this.#soon(false),
      [Symbol.dispose]: () => {
        all.delete(watched)
        if (all.size === 0 && this.#scopes.get(scope) === all) this.#scopes.delete(scope)
        if (this.#scopes.size === 0) this.#stop()
      },
    }
  }

  /** Looks now; a look that is under way is followed by another. */
  look(): void {
    void this.#soon(true)
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

  /** @param certainly also where the engine says that nothing can have changed */
  async #soon(certainly: boolean): Promise<void> {
    if (this.#disposed || this.#scopes.size === 0) return
    if (!this.#looking) return await this.#begin(certainly)
    // What is under way may have read before the change.
    this.#again ??= Promise.withResolvers()
    await this.#again.promise
  }

  #begin(certainly: boolean): Promise<void> {
    clearTimeout(this.#timer)
    this.#looking = this.#lookOnce(certainly).finally(() => {
      this.#looking = undefined
      this.#schedule()
    })
    return this.#looking
  }

  #schedule(): void {
    const again = this.#again
    this.#again = undefined
    if (this.#disposed || !this.#watch) again?.resolve()
    else if (again) void this.#begin(true).finally(again.resolve)
    else {
      this.#timer = setTimeout(() => void this.#begin(false), this.#watch.interval)
      this.#timer.unref()
    }
  }

  async #lookOnce(certainly: boolean): Promise<void> {
    try {
      await this.#gate.pass()
      const mayHaveChanged = await this.#watch?.mayHaveChanged()
      const isAwaited = [...this.#scopes.values()].some((all) => [...all].some(({ seen, isFailing }) => seen === undefined || isFailing))
      if (certainly || mayHaveChanged || isAwaited) this.#compare(await within(longestLook, this.#values()))
      this.#each(({ watcher }) => watcher.looked?.())
    } catch (thrown) {
      const error = thrown instanceof DatabaseReplaced ? outOfReach(thrown) : thrown
      if (thrown instanceof DatabaseReplaced) this.#gate.lost(error)
      this.#each((watched) => {
        watched.isFailing = true
        watched.watcher.failed(error)
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
        const isNews = watched.isFailing || watched.seen !== value
        watched.seen = value
        watched.isFailing = false
        if (isNews) watched.watcher.changed(this.#read)
      }
    }
  }

  #each(tell: (watched: Watched) => void): void {
    for (const all of this.#scopes.values()) for (const watched of all) tell(watched)
  }
}

interface Watched {
  readonly watcher: Watcher
  /** The revision that it was last told of; undefined before the first look. */
  seen: number | undefined
  isFailing: boolean
}

async function within<T>(milliseconds: number, pending: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds)
  try {
    return await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}
