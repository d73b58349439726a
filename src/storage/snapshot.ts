/** What every replica holds in memory of something stored, swapped whole when its revision changes. */
export interface Snapshot<T> extends Disposable {
  /** The latest known. Throws ApiError 503 (Retry-After) before the first load, and once the store has been out of reach for more than a minute. */
  current(): T
  /** Loads anew now; for the process that made a change itself and wants to see it at once. */
  refresh(): Promise<void>
  /** Resolves after the first load, or its failure. */
  readonly ready: Promise<void>
}
