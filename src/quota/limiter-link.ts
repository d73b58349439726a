import { type QuotaStore, WindowExpired } from './counters.ts'
import type { Clock } from './limiter-clock.ts'
import { withTimeout } from '../timing.ts'

/** The initial and the maximum pause after a failed call to the store, in milliseconds. */
const initialPause = 100
const maxPause = 2000

/** Changes of the store's availability. */
export interface StoreEvents {
  /** Once per outage. */
  storeFailed?(error: unknown): void
  /** `unmetered`: requests admitted without being counted during the outage. */
  storeRecovered?(unmetered: number): void
}

interface StoreLinkOptions {
  readonly clock: Clock
  /** Milliseconds for one call. */
  readonly timeout: number
  readonly events: StoreEvents
}

/** The store does not reply, or replies with an error. The call may have had its effect. */
class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super('the quota store is unavailable', { cause })
    this.name = 'StoreUnavailable'
  }
}

class StoreTimeout extends Error {
  constructor(milliseconds: number) {
    super(`no reply within ${milliseconds} ms`)
    this.name = 'TimeoutError'
  }
}

/** Calls of the store, with a timeout and one retry. After a failure it is a circuit breaker: one call at a time probes whether the store has recovered. */
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

  /** The failure, while a call must not be made. */
  get error(): StoreUnavailable | undefined {
    return this.#failure?.error
  }

  countUnmetered(): void {
    this.#unmetered++
  }

  /**
   * To be called only where `isOpen`. `send` is called with 1, and with 2 when the first call failed (not when it timed out). Rejects with StoreOutOfReach; `onLateReply` gets a reply
   * that arrives after that.
   */
  async call<T>(send: (attempt: number) => Promise<T>, onLateReply: (reply: T) => void): Promise<T> {
    const { clock, timeout } = this.#options
    const failure = this.#failure
    // Other calls wait for the result of this probe.
    if (failure) failure.retryAt = clock.monotonic() + timeout + failure.pause
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.#withTimeout(send(attempt), onLateReply)
        this.#markRecovered()
        return reply
      } catch (error) {
        if (error instanceof WindowExpired) {
          // The store is available: only this window has expired.
          this.#markRecovered()
          throw new StoreUnavailable(error)
        }
        if (attempt === 1 && !failure && !(error instanceof StoreTimeout)) continue
        throw this.#markFailed(error, failure?.pause)
      }
    }
  }

  /** No call follows. */
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

  /** `previousPause`: the pause before this call. Calls that fail at the same time count as one failure. */
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
