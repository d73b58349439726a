import { ApiError } from '../../../child-contract.ts'

/** A slot in use; disposing it gives it back. */
export interface SlotLease<Slot> extends Disposable {
  readonly slot: Slot
}

export interface SlotCounts {
  slots: number
  busy: number
  waiting: number
}

interface SlotWaiter<Slot> {
  give(slot: Slot): void
  prefer: ((slot: Slot) => number) | undefined
}

/** A fixed number of slots; who finds none waits in line, and the line has an end. */
export class SlotPool<Slot> {
  readonly #free: Slot[]
  readonly #waiting = new Set<SlotWaiter<Slot>>()
  readonly #slots: number
  readonly #queue: number

  /** `queue`: how many may wait. */
  constructor(slots: readonly Slot[], queue: number) {
    this.#free = [...slots]
    this.#slots = slots.length
    this.#queue = queue
  }

  get counts(): SlotCounts {
    return { slots: this.#slots, busy: this.#slots - this.#free.length, waiting: this.#waiting.size }
  }

  /**
   * Takes the free slot with the highest preference, or waits for the next one.
   * Throws ApiError 429 where the line is full; rejects with the signal's reason once it aborts.
   */
  async acquire(signal: AbortSignal, prefer?: (slot: Slot) => number): Promise<SlotLease<Slot>> {
    signal.throwIfAborted()
    if (this.#free.length > 0) return this.#lease(this.#take(prefer))
    if (this.#waiting.size >= this.#queue) {
      throw new ApiError(
        'rate_limit_error',
        `All ${this.#slots} slots of the embedded model are busy and ${this.#queue} requests are already queued.`,
        {
          headers: { 'retry-after': '2' },
          code: 'slots_busy',
        },
      )
    }
    return this.#lease(await this.#wait(signal, prefer))
  }

  #wait(signal: AbortSignal, prefer: SlotWaiter<Slot>['prefer']): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(waiter)
        reject(signal.reason as Error)
      }
      const waiter: SlotWaiter<Slot> = {
        prefer,
        give: (slot) => {
          signal.removeEventListener('abort', onAbort)
          resolve(slot)
        },
      }
      this.#waiting.add(waiter)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #take(prefer: SlotWaiter<Slot>['prefer']): Slot {
    let best = 0
    if (prefer) {
      const marks = this.#free.map(prefer)
      best = marks.indexOf(Math.max(...marks))
    }
    return this.#free.splice(best, 1)[0]!
  }

  #lease(slot: Slot): SlotLease<Slot> {
    let given = false
    return {
      slot,
      [Symbol.dispose]: () => {
        if (given) return
        given = true
        const [next] = this.#waiting
        if (!next) {
          this.#free.push(slot)
          return
        }
        this.#waiting.delete(next)
        next.give(slot)
      },
    }
  }
}
