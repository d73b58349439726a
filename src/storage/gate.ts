import type { Events } from '../telemetry/events.ts'
import { isDatabaseUnavailable, databaseUnavailable, StorageError } from './errors.ts'

/** Milliseconds between two attempts to open a database that is unavailable, or that an operator has to repair first. */
const retryDelay = { unavailable: 1000, unusable: 10_000 }

/** What a failure affects: a database may be readable but not writable. */
export type AccessMode = 'reading' | 'writing' | 'all'

interface DatabaseGateOptions {
  /** Connects and brings the tables up to date. Throws ApiError 503 where it is out of reach, StorageError where trying again does not help. */
  open(): Promise<void>
  readonly events?: Pick<Events, 'dependencyFailed' | 'dependencyRecovered'> | undefined
}

/**
 * Guards a database until it is open: callers wait for the attempt under way, or fail at once when one has just failed. Also tracks whether the
 * database is available, and reports changes.
 */
export class DatabaseGate {
  readonly #options: DatabaseGateOptions
  #state: 'closed' | 'open' | 'disposed' = 'closed'
  #opening: Promise<void> | undefined
  #failure: { readonly error: unknown; readonly at: number } | undefined
  /** What does not work: a full or read-only disk can still be read. */
  readonly #down = new Set<AccessMode>()
  #retry: ReturnType<typeof setTimeout> | undefined

  constructor(options: DatabaseGateOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Resolves once the database is open. Throws ApiError 503. */
  async whenOpen(): Promise<void> {
    if (this.#state === 'open') return
    try {
      await this.open()
    } catch (error) {
      throw isDatabaseUnavailable(error) ? error : databaseUnavailable(error)
    }
  }

  /** The same with the error as it is. */
  async open(): Promise<void> {
    if (this.#state === 'open') return
    if (this.#state === 'disposed') throw databaseUnavailable(new Error('the database is closed'))
    const failure = this.#failure
    if (failure && !this.#opening && performance.now() - failure.at < retryDelayAfter(failure.error)) throw failure.error
    this.#opening ??= this.#try()
    await this.#opening
  }

  /** Tries again and again, in the background, until it is open. */
  retryInBackground(): void {
    if (this.#state !== 'closed') return
    this.open().catch((error: unknown) => {
      this.reportFailure(error)
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => this.retryInBackground(), retryDelayAfter(error))
      this.#retry.unref()
    })
  }

  /** To be called with every failure to reach the database, as `reportSuccess` with every success. */
  reportFailure(error: unknown, mode: AccessMode = 'all'): void {
    if (this.#state === 'disposed') return
    this.#down.add(mode)
    this.#options.events?.dependencyFailed('database', error instanceof Error && isDatabaseUnavailable(error) ? error.cause : error)
  }

  /** The open database is gone: callers get 503 while it is reopened in the background. */
  reopen(error: unknown): void {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    this.#failure = { error, at: performance.now() }
    this.reportFailure(error)
    this.retryInBackground()
  }

  /** It is back once all works again that has failed. */
  reportSuccess(mode: AccessMode = 'all'): void {
    if (this.#down.size === 0 || this.#state === 'closed') return
    if (mode === 'all') this.#down.clear()
    else for (const one of ['all', mode] as const) this.#down.delete(one)
    if (this.#down.size > 0) return
    this.#options.events?.dependencyRecovered('database')
  }

  dispose(): void {
    this.#state = 'disposed'
    clearTimeout(this.#retry)
  }

  async #try(): Promise<void> {
    try {
      await this.#options.open()
      if (this.#state === 'closed') this.#state = 'open'
      this.reportSuccess()
    } catch (error) {
      this.#failure = { error, at: performance.now() }
      // What the operator has to repair is reported by the caller.
      if (!(error instanceof StorageError)) this.reportFailure(error)
      throw error
    } finally {
      this.#opening = undefined
    }
  }
}

function retryDelayAfter(error: unknown): number {
  return error instanceof StorageError ? retryDelay.unusable : retryDelay.unavailable
}
