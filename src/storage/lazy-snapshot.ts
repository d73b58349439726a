import { unavailable } from '../errors.ts'
import { createSnapshot, type DatabaseSnapshot, type SnapshotOptions } from './snapshot.ts'
import type { RecordsSource } from './storage.ts'

interface LazySnapshotOptions<T> extends Omit<SnapshotOptions<T>, 'database'> {
  readonly records: RecordsSource
  /** What there is as long as the database does not exist. */
  readonly empty: T
}

/** A snapshot that opens its database once it exists, and not to find out that there is nothing in it. */
export interface LazySnapshot<T> extends DatabaseSnapshot<T> {
  /** Opens the database, creating it where there is none, and loads it. Throws ApiError 503. */
  open(): Promise<void>
}

export function createLazySnapshot<T>(options: LazySnapshotOptions<T>): LazySnapshot<T> {
  return new PresentSnapshot(options)
}

class PresentSnapshot<T> implements LazySnapshot<T> {
  readonly ready: Promise<void>
  readonly #options: LazySnapshotOptions<T>
  readonly #isEmptyAtFirst: boolean
  readonly #resolveReady: () => void
  #opening: Promise<DatabaseSnapshot<T>> | undefined
  #snapshot: DatabaseSnapshot<T> | undefined
  #isLoaded = false
  #isDisposed = false

  constructor(options: LazySnapshotOptions<T>) {
    this.#options = options
    this.#isEmptyAtFirst = !options.records.isPresent()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ready = promise
    this.#resolveReady = resolve
    if (this.#isEmptyAtFirst) resolve()
    void options.records.whenPresent().then(() => this.#openInBackground())
  }

  current(): T {
    // Until its content is known, what was known before remains.
    if (this.#snapshot && (this.#isLoaded || !this.#isEmptyAtFirst)) return this.#snapshot.current()
    if (this.#isEmptyAtFirst) return this.#options.empty
    throw unavailable('The server has not loaded this from its database yet.', 1, { code: 'database_unavailable' })
  }

  async open(): Promise<void> {
    const snapshot = await this.#open()
    await snapshot.ready
    snapshot.current()
  }

  async refresh(): Promise<void> {
    const snapshot = await this.#open()
    await snapshot.refresh()
  }

  async catchUp(): Promise<boolean> {
    const snapshot = await this.#open()
    return await snapshot.catchUp()
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    this.#snapshot?.[Symbol.dispose]()
    this.#resolveReady()
  }

  #openInBackground(): void {
    if (this.#isDisposed) return
    this.#open()
      .then((snapshot) => snapshot.ready)
      .catch((error: unknown) => this.#options.events?.unexpected(`reading ${this.#options.scope}`, error))
      .finally(this.#resolveReady)
  }

  #open(): Promise<DatabaseSnapshot<T>> {
    this.#opening ??= this.#load().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #load(): Promise<DatabaseSnapshot<T>> {
    const { records, onChange, ...options } = this.#options
    const snapshot = createSnapshot<T>({
      ...options,
      database: await records.open(),
      onChange: (value) => {
        this.#isLoaded = true
        onChange?.(value)
      },
    })
    if (this.#isDisposed) snapshot[Symbol.dispose]()
    this.#snapshot = snapshot
    return snapshot
  }
}
