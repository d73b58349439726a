import { type QuotaStore, WindowOver } from './counters.ts'
import type { Clock } from './limiter-clock.ts'

/** Milliseconds of the first and the longest pause after the store could not be reached. */
const firstPause = 100
const longestPause = 2000

/** What is worth telling of the store. */
export interface LinkEvents {
  /** Told once until it is back. */
  storeFailed?(error: unknown): void
  /** `unmetered`: requests that were admitted without being counted in the meantime. */
  storeBack?(unmetered: number): void
}

export interface LinkOptions {
  readonly clock: Clock
  /** Milliseconds that an answer may take. */
  readonly timeout: number
  readonly events: LinkEvents
}

/** The store does not answer, or with an error. What was asked may have been done all the same. */
export class StoreOutOfReach extends Error {
  constructor(cause: unknown) {
    super('the quota store is out of reach', { cause })
    this.name = 'StoreOutOfReach'
  }
}

class Timeout extends Error {
  constructor(milliseconds: number) {
    super(`no answer within ${milliseconds} ms`)
    this.name = 'TimeoutError'
  }
}

/**
 * The way to the store: every call has its time, one that fails is tried once more, and after that nobody calls for a while but one at a time
 * who finds out whether it is back.
 */
export class StoreLink {
  readonly store: QuotaStore
  readonly #options: LinkOptions
  #failure: { readonly error: StoreOutOfReach; pause: number; retryAt: number } | undefined
  #unmetered = 0

  constructor(store: QuotaStore, options: LinkOptions) {
    this.store = store
    this.#options = options
  }

  /** Whether a call may be made now. */
  get isOpen(): boolean {
    return this.#failure === undefined || this.#options.clock.monotonic() >= this.#failure.retryAt
  }

  /** Why it is not open. */
  get error(): StoreOutOfReach | undefined {
    return this.#failure?.error
  }

  countUnmetered(): void {
    this.#unmetered++
  }

  /**
   * To be called only where `isOpen`. `ask` is called with 1, and with 2 when the first call failed (not when it took too long). Rejects with StoreOutOfReach. `late` gets an answer
   * that comes after that.
   */
  async call<T>(ask: (attempt: number) => Promise<T>, late: (answer: T) => void): Promise<T> {
    const { clock, timeout } = this.#options
    const failure = this.#failure
    // Everybody else waits for what becomes of this one.
    if (failure) failure.retryAt = clock.monotonic() + timeout + failure.pause
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#timed(ask(attempt), late)
        this.#reached()
        return answer
      } catch (error) {
        if (error instanceof WindowOver) {
          // The store works; other windows may do.
          this.#reached()
          throw new StoreOutOfReach(error)
        }
        if (attempt === 1 && !failure && !(error instanceof Timeout)) continue
        throw this.#failed(error, failure?.pause)
      }
    }
  }

  /** To be called when no more will be asked. */
  close(): void {
    if (this.#unmetered > 0) this.#options.events.storeBack?.(this.#unmetered)
    this.#unmetered = 0
  }

  async #timed<T>(answer: Promise<T>, late: (answer: T) => void): Promise<T> {
    const { clock, timeout } = this.#options
    const { promise, reject } = Promise.withResolvers<never>()
    let isLate = false
    const cancel = clock.after(timeout, () => {
      isLate = true
      reject(new Timeout(timeout))
    })
    const watched = this.#answerOf(answer, (value) => {
      if (isLate) late(value)
    })
    try {
      return await Promise.race([watched, promise])
    } finally {
      cancel()
    }
  }

  async #answerOf<T>(answer: Promise<T>, came: (value: T) => void): Promise<T> {
    const value = await answer
    came(value)
    return value
  }

  #reached(): void {
    if (!this.#failure) return
    this.#failure = undefined
    this.#options.events.storeBack?.(this.#unmetered)
    this.#unmetered = 0
  }

  /** `tried`: the pause that went before this call. Many calls that fail at the same time are one failure. */
  #failed(cause: unknown, tried: number | undefined): StoreOutOfReach {
    const { clock, events } = this.#options
    if (this.#failure && tried === undefined) return this.#failure.error
    const pause = tried === undefined ? firstPause : Math.min(tried * 2, longestPause)
    const error = new StoreOutOfReach(cause)
    if (!this.#failure) events.storeFailed?.(cause)
    this.#failure = { error, pause, retryAt: clock.monotonic() + pause }
    return error
  }
}
