import { sleep, startBackgroundTimer, within } from '../timing.ts'

/** Minimum milliseconds between the starts of two on-demand polls. */
const defaultMinInterval = 50

/** Maximum milliseconds that a caller waits. */
const maxWait = 1000

interface OnDemandPollOptions {
  /** Called with the rejection of a poll, which counts as failed. */
  onError(error: unknown): void
  /** Milliseconds from the beginning of one look to the next. Default 50. */
  readonly minInterval?: number | undefined
}

/**
 * Looks that somebody asks for who knows of something that has not been seen here: one at a time, at most one in 50 ms, each shared by all who
 * asked before it began, so that any number of them costs no more.
 */
export class OnDemandPoll {
  readonly #poll: () => Promise<boolean>
  readonly #options: OnDemandPollOptions
  /** The look that has not begun. */
  #next: Promise<boolean> | undefined
  /** Until the next one may. */
  #earliestNext: Promise<unknown> = Promise.resolve()

  /** @param poll resolves with whether it succeeded */
  constructor(poll: () => Promise<boolean>, options: OnDemandPollOptions) {
    this.#poll = poll
    this.#options = options
  }

  /** Whether a look that began after this call has worked. False after a second of one's own, where looking takes longer. Never rejects. */
  request(): Promise<boolean> {
    return within(maxWait, (this.#next ??= this.#pollInTurn()), false, { timer: startBackgroundTimer })
  }

  async #pollInTurn(): Promise<boolean> {
    await this.#earliestNext
    // Later requests may be about changes that this poll is too early for.
    this.#next = undefined
    const poll = this.#pollSafely()
    this.#earliestNext = Promise.all([poll, sleep(this.#options.minInterval ?? defaultMinInterval, { timer: startBackgroundTimer })])
    return await poll
  }

  /** The next polls wait for this one: a rejection would be theirs too. */
  async #pollSafely(): Promise<boolean> {
    try {
      return await this.#poll()
    } catch (error) {
      this.#options.onError(error)
      return false
    }
  }
}
