import type { Counter, CounterHandle, CountingWindow } from './counters.ts'
import type { Clock } from './limiter-clock.ts'
import type { StoreLink } from './limiter-link.ts'

/** What a reservation holds of one counter, to be settled once. */
export interface Hold {
  settle(reserved: number, used: number): void
}

/** How a demand that had to wait ended. */
export type AcquireResult = Hold | { readonly refused: true } | { readonly error: unknown }

/** What a limiter does with each of its counters. */
export interface CounterState extends CounterHandle {
  limit: number
  /** Found by its id; if not, its limiter has dropped it for being idle, and takes it back when it is used. */
  isRegistered: boolean
  /** Among those that are swept. */
  isSwept: boolean
  /** Used since the limiter last looked for idle ones. */
  isRecentlyUsed: boolean
  /** Takes `amount` of what is at hand. */
  tryTake(amount: number, now: number): Hold | undefined
  /** Takes `amount` as soon as it is there, or tells why not. Waits until `deadline` (on the monotonic clock) for what others hold unused. */
  acquire(amount: number, deadline: number): Promise<AcquireResult>
  /** Asks for more in the background, so that `acquire` finds it. */
  prefetch(amount: number, now: number): void
  /** Whether it is known without asking that `amount` cannot be had now. */
  isExhausted(amount: number): boolean
  /** Milliseconds until `amount` may be had. */
  retryAfter(amount: number): number
  /** Takes over what the configuration has changed. */
  update(counter: Counter): void
  /** Gives back what lies unused; false when there is nothing more to sweep. */
  sweep(): boolean
  /** Nothing would be lost with it. */
  isIdle(now: number): boolean
  /** Gives everything back, and fails who waits. Resolves when the store has been told. */
  close(error: unknown): Promise<void>
}

/** What all counters of a limiter share. */
export interface LimiterContext {
  readonly link: StoreLink
  readonly clock: Clock
  /** This process, for its slots. */
  readonly holder: string
  /** Numbers the requests of this holder, for whichever counter. */
  readonly nextSequence: () => number
  /** Milliseconds for which slots are held without a renewal. */
  readonly holdTimeout: number
  readonly waiterLimit: WaiterLimit
  /** From now on to be swept. */
  watch(counter: CounterState): void
}

/** Bounds how many demands wait, in one limiter. */
export class WaiterLimit {
  readonly #max: number
  #waiting = 0

  constructor(max: number) {
    this.#max = max
  }

  get isFull(): boolean {
    return this.#waiting >= this.#max
  }

  enter(): void {
    this.#waiting++
  }

  leave(): void {
    this.#waiting--
  }
}

/** A demand that waits. */
interface DemandWaiter {
  readonly amount: number
  /** On the monotonic clock. */
  readonly deadline: number
  end(result: AcquireResult): void
}

/** Those that wait for one counter, first come first served as far as what is there suffices. May be thousands: nothing but `smallest` looks at all. */
export class DemandQueue {
  readonly #waiterLimit: WaiterLimit
  #waiters: DemandWaiter[] = []
  #total = 0

  constructor(waiterLimit: WaiterLimit) {
    this.#waiterLimit = waiterLimit
  }

  get length(): number {
    return this.#waiters.length
  }

  get first(): DemandWaiter | undefined {
    return this.#waiters[0]
  }

  get total(): number {
    return this.#total
  }

  get smallest(): number {
    return this.#waiters.reduce((smallest, { amount }) => Math.min(smallest, amount), Infinity)
  }

  add(amount: number, deadline: number): Promise<AcquireResult> {
    const { promise, resolve } = Promise.withResolvers<AcquireResult>()
    this.#waiterLimit.enter()
    this.#total += amount
    this.#waiters.push({ amount, deadline, end: resolve })
    return promise
  }

  /** Ends the wait of those for whom `outcomeOf` has an outcome, as long as there is more to `hope` for. */
  settle(resultOf: (waiter: DemandWaiter) => AcquireResult | undefined, mayContinue: () => boolean = () => true): void {
    const remaining: DemandWaiter[] = []
    let visited = 0
    for (; visited < this.#waiters.length && mayContinue(); visited++) {
      const waiter = this.#waiters[visited]
      const result = waiter && resultOf(waiter)
      if (result) this.#end(waiter, result)
      else if (waiter) remaining.push(waiter)
    }
    if (remaining.length < visited) this.#waiters = [...remaining, ...this.#waiters.slice(visited)]
  }

  #end(waiter: DemandWaiter, result: AcquireResult): void {
    this.#waiterLimit.leave()
    this.#total -= waiter.amount
    waiter.end(result)
  }
}

/**
 * What one process has taken of one counter in one window. A reservation settles with the lease it was made from, so that what comes back after the
 * window's end cannot get into the next.
 */
export class UnitLease implements Hold {
  readonly window: CountingWindow
  readonly #onSettled: (lease: UnitLease) => void
  /** Taken from the store, and free. */
  units = 0
  /** Reserved, and not settled. */
  running = 0
  /** Used beyond what was taken, and not yet counted in the store. */
  owed = 0
  /** Free units as the store knows them. */
  reported = 0
  /** Units reserved since the last sweep, and ever. */
  takenSinceSweep = 0
  used = 0

  constructor(window: CountingWindow, onSettled: (lease: UnitLease) => void) {
    this.window = window
    this.#onSettled = onSettled
  }

  take(amount: number): this {
    this.units -= amount
    this.running += amount
    this.takenSinceSweep += amount
    this.used += amount
    return this
  }

  settle(reserved: number, used: number): void {
    this.running -= reserved
    if (used === reserved) return
    if (used < reserved) this.units += reserved - used
    else {
      const excess = used - reserved
      const paid = Math.min(this.units, excess)
      this.units -= paid
      this.owed += excess - paid
    }
    this.#onSettled(this)
  }
}
