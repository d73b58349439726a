/** Milliseconds from the beginning of one look that was asked for to the next. */
const usuallyApart = 50

/** Milliseconds that whoever asked waits at most. */
const longestWait = 1000

interface Options {
  /** Told what a look rejects with; it counts as one that did not work. */
  failed(error: unknown): void
  /** Milliseconds from the beginning of one look to the next. Default 50. */
  readonly apart?: number | undefined
}

/**
 * Looks that somebody asks for who knows of something that has not been seen here: one at a time, at most one in 50 ms, each shared by all who
 * asked before it began, so that any number of them costs no more.
 */
export class EarlyLooks {
  readonly #look: () => Promise<boolean>
  readonly #options: Options
  /** The look that has not begun. */
  #next: Promise<boolean> | undefined
  /** Until the next one may. */
  #rest: Promise<unknown> = Promise.resolve()

  /** @param look tells whether it worked */
  constructor(look: () => Promise<boolean>, options: Options) {
    this.#look = look
    this.#options = options
  }

  /** Whether a look that began after this call has worked. False after a second of one's own, where looking takes longer. Never rejects. */
  ask(): Promise<boolean> {
    return within(longestWait, (this.#next ??= this.#inTurn()))
  }

  async #inTurn(): Promise<boolean> {
    await this.#rest
    // Whoever asks from now on may know of something that this look is too early for.
    this.#next = undefined
    const look = this.#lookSafely()
    this.#rest = Promise.all([look, pause(this.#options.apart ?? usuallyApart)])
    return await look
  }

  /** The next looks wait for this one: a rejection would be theirs too. */
  async #lookSafely(): Promise<boolean> {
    try {
      return await this.#look()
    } catch (error) {
      this.#options.failed(error)
      return false
    }
  }
}

/** False where it takes longer. */
async function within(milliseconds: number, work: Promise<boolean>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, milliseconds, false)
  timer.unref()
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function pause(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, milliseconds).unref()
  await promise
}
