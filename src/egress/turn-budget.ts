/** How much work is done in one turn of the event loop. */
interface TurnBudgetOptions {
  /** Bytes in one turn. Default 128 kB. */
  readonly maxBytes?: number
  /** Milliseconds of continuous work. Default 5. */
  readonly maxTime?: number
  /** Runs a callback in the next turn of the event loop, after the timers and sockets that are due. Default `setImmediate`. */
  readonly nextTurn?: (run: () => void) => unknown
  /** Milliseconds. Default `performance.now`. */
  readonly now?: () => number
}

/** Max bytes that a reader is given at a time. A larger piece is split: relayed in one go it would delay all other requests. */
export const sliceBytes = 16_384

interface WaitingReader {
  readonly bytes: number
  readonly resume: () => void
}

/**
 * Keeps response bodies that are always ready from blocking the event loop. Promises that resolve at once run one after another without a turn of the event
 * loop between them, so that timers, new requests and other streams wait as long as bytes keep arriving. All bodies of a process share one budget per turn;
 * when it is spent, readers wait in first-in, first-out order for a share of one of the next turns. A turn is requested once half of the budget is used.
 */
export class TurnBudget {
  readonly #maxBytes: number
  readonly #maxTime: number
  readonly #nextTurn: (run: () => void) => unknown
  readonly #now: () => number
  /** Bytes in one turn: halved when a turn took longer than `maxTime`, doubled up to `maxBytes` when it took less than half of it. */
  #bytes: number
  #left: number
  /** When the time of this turn began to count. */
  #since = 0
  /** A next turn was requested. */
  #isPlanned = false
  /** The queue: `#front` from `#head` on, then `#back`. Two lists, because `shift` moves all elements of a list each time. */
  #front: WaitingReader[] = []
  #head = 0
  #back: WaitingReader[] = []

  constructor({ maxBytes = 131_072, maxTime = 5, nextTurn = setImmediate, now = () => performance.now() }: TurnBudgetOptions = {}) {
    this.#maxBytes = maxBytes
    this.#maxTime = maxTime
    this.#nextTurn = nextTurn
    this.#now = now
    this.#bytes = maxBytes
    this.#left = maxBytes
  }

  /** Reserves `bytes` that are about to be relayed. Returns undefined when they may be relayed now, else a promise that resolves in a later turn. */
  take(bytes: number): Promise<void> | undefined {
    const mayRelay = !this.#someWait && this.#left > 0 && (!this.#isPlanned || this.#now() - this.#since < this.#maxTime)
    if (mayRelay) {
      this.#left -= bytes
      // Few bytes need no turn of their own: they are relayed without its cost.
      if (this.#left <= this.#bytes / 2) this.#plan()
      return undefined
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#back.push({ bytes, resume: resolve })
    this.#plan()
    return promise
  }

  /** The next turn begins with a new share; from here on the time of this one counts too. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    this.#since = this.#now()
    this.#nextTurn(this.#turn)
  }

  readonly #turn = (): void => {
    if (this.#someWait) this.#adapt(this.#now() - this.#since)
    this.#isPlanned = false
    this.#left = this.#bytes
    while (this.#left > 0 && this.#someWait) {
      const { bytes, resume } = this.#next()
      this.#left -= bytes
      resume()
    }
    if (this.#someWait) this.#plan()
  }

  /** `took`: milliseconds of the turn that left readers waiting. */
  #adapt(took: number): void {
    if (took > this.#maxTime) this.#bytes = Math.max(sliceBytes, this.#bytes / 2)
    else if (took < this.#maxTime / 2) this.#bytes = Math.min(this.#maxBytes, this.#bytes * 2)
  }

  get #someWait(): boolean {
    return this.#head < this.#front.length || this.#back.length > 0
  }

  #next(): WaitingReader {
    if (this.#head === this.#front.length) {
      this.#front = this.#back
      this.#back = []
      this.#head = 0
    }
    const next = this.#front[this.#head] as WaitingReader
    this.#head += 1
    return next
  }
}
