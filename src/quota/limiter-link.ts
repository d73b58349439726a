import { type QuotaStore, WindowExpired } from './counters.ts'
import type { Clock } from './limiter-clock.ts'
import { withTimeout } from '../timing.ts'

/** Milliseconds of the first and the longest pause after the store could not be reached. */
const initialPause = 100
const maxPause = 2000

/** What is worth telling of the store. */
export interface StoreEvents {
  /** Told once until it is back. */
  storeFailed?(error: unknown): void
  /** `unmetered`: requests that were admitted without being counted in the meantime. */
  storeRecovered?(unmetered: number): void
}

interface StoreLinkOptions {
  readonly clock: Clock
  /** Milliseconds that an answer may take. */
  readonly timeout: number
  readonly events: StoreEvents
}

/** The store does not answer, or with an error. What was asked may have been done all the same. */
class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super('the quota store is out of reach', { cause })
    this.name = 'StoreOutOfReach'
  }
}

class StoreTimeout extends Error {
  constructor(milliseconds: number) {
    super(`no reply within ${milliseconds} ms`)
    this.name = 'TimeoutError'
  }
}

/**
 * The way to the store: every call has its time, one that fails is tried once more, and after that nobody calls for a while but one at a time
 * who finds out whether it is back.
 */
export class StoreLink {
  readonly store: QuotaStore
  readonly #options: StoreLinkOptions
  #failure: { readonly error: StoreUnavailable; pause: number; retryAt: number } | undefined
  #unmetered = 0

  constructor(store: QuotaStore, options: StoreLinkOptions) {
    this.store = store
    this.#options = options
  }

  /** Whether a call may be made now. */
  get isOpen(): boolean {
    return this.#failure === undefined || this.#options.clock.monotonic() >= this.#failure.retryAt
  }

  /** Why it is not open. */
  get error(): StoreUnavailable | undefined {
    return this.#failure?.error
  }

  countUnmetered(): void {
    this.#unmetered++
  }

  /**
   * To be called only where `isOpen`. `ask` is called with 1, and with 2 when the first call failed (not when it took too long). Rejects with StoreOutOfReach. `late` gets an answer
   * that comes after that.
   */
  async call<T>(send: (attempt: number) => Promise<T>, onLateReply: (reply: T) => void): Promise<T> {
    const { clock, timeout } = this.#options
    const failure = this.#failure
    // Everybody else waits for what becomes of this one.
    if (failure) failure.retryAt = clock.monotonic() + timeout + failure.pause
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.#withTimeout(send(attempt), onLateReply)
        this.#markRecovered()
        return reply
      } catch (error) {
        if (error instanceof WindowExpired) {
          // The store works; other windows may do.
          this.#markRecovered()
          throw new StoreUnavailable(error)
        }
        if (attempt === 1 && !failure && !(error instanceof StoreTimeout)) continue
        throw this.#markFailed(error, failure?.pause)
      }
    }
  }

  /** To be called when no more will be asked. */
  close(): void {
    if (this.#unmetered > 0) this.#options.events.storeRecovered?.(this.#unmetered)
    this.#unmetered = 0
  }

  async #withTimeout<T>(reply: Promise<T>, onLateReply: (reply: T) => void): Promise<T> {
    const { clock, timeout } = this.#options
    let isLate = false
    const watched = this.#observeReply(reply, (value) => {
      if (isLate) onLateReply(value)
    })
    const timeoutError = (): Error => {
      isLate = true
      return new StoreTimeout(timeout)
    }
    return await withTimeout(timeout, watched, timeoutError, { timer: (milliseconds, run) => clock.after(milliseconds, run) })
  }

  async #observeReply<T>(reply: Promise<T>, onReply: (value: T) => void): Promise<T> {
    const value = await reply
    onReply(value)
    return value
  }

  #markRecovered(): void {
    if (!this.#failure) return
    this.#failure = undefined
    this.#options.events.storeRecovered?.(this.#unmetered)
    this.#unmetered = 0
  }

  /** `tried`: the pause that went before this call. Many calls that fail at the same time are one failure. */
  #markFailed(cause: unknown, previousPause: number | undefined): StoreUnavailable {
    const { clock, events } = this.#options
    if (this.#failure && previousPause === undefined) return this.#failure.error
    const pause = previousPause === undefined ? initialPause : Math.min(previousPause * 2, maxPause)
    const error = new StoreUnavailable(cause)
    if (!this.#failure) events.storeFailed?.(cause)
    this.#failure = { error, pause, retryAt: clock.monotonic() + pause }
    return error
  }
}
