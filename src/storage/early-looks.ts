/** Milliseconds from the beginning of one look that was asked for to the next. */
const usuallyApart = 50

/** Milliseconds that whoever asked waits at most. */
const longestWait = 1000

/**
 * Looks that somebody asks for who knows of something that has not been seen here: one at a time, at most one in 50 ms, each shared by all who
 * asked before it began, so that any number of them costs no more.
 */
export class EarlyLooks {
  readonly #look: () => Promise<void>
  readonly #apart: number
  /** The look that has not begun. */
  #next: Promise<void> | undefined
  /** Until the next one may. */
  #rest: Promise<unknown> = Promise.resolve()

  constructor(look: () => Promise<void>, apart = usuallyApart) {
    this.#look = look
    this.#apart = apart
  }

  /** Resolves after a look that began after this call, whether or not it worked; or after a second, where looking takes longer. */
  ask(): Promise<void> {
    return (this.#next ??= within(longestWait, this.#inTurn()))
  }

  async #inTurn(): Promise<void> {
    await this.#rest
    // Whoever asks from now on may know of something that this look is too early for.
    this.#next = undefined
    const look = this.#look()
    this.#rest = Promise.all([look, pause(this.#apart)])
    await look
  }
}

async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, milliseconds)
  timer.unref()
  await Promise.race([work, late])
  clearTimeout(timer)
}

async function pause(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, milliseconds).unref()
  await promise
}
