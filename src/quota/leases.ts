import type { Counter, CounterHandle, CountingWindow } from './counters.ts'
import type { Clock } from './limiter-clock.ts'
import type { StoreLink } from './limiter-link.ts'

/** What a reservation holds of one counter. Settled once. */
export interface Hold {
  settle(reserved: number, used: number): void
}

/** The result of a demand that waited. */
export type AcquireResult = Hold | { readonly refused: true } | { readonly error: unknown }

/** A counter as its limiter sees it. */
export interface CounterState extends CounterHandle {
  limit: number
  /** False: the limiter dropped it for being idle, and registers it again when it is used. */
  isRegistered: boolean
  /** Whether the sweep includes it. */
  isSwept: boolean
  /** Used since the last check for idle counters. */
  isRecentlyUsed: boolean
  /** Takes `amount` of what this process holds. */
  tryTake(amount: number, now: number): Hold | undefined
  /** Takes `amount` from the store, or reports why not. Waits until `deadline` (monotonic) for units that other processes hold unused. */
  acquire(amount: number, deadline: number): Promise<AcquireResult>
  /** Starts an exchange for `amount` in the background. */
  prefetch(amount: number, now: number): void
  /** Whether `amount` is known to be unavailable, without an exchange. */
  isExhausted(amount: number): boolean
  /** Milliseconds until `amount` may be available. */
  retryAfter(amount: number): number
  /** Applies a changed configuration. */
  update(counter: Counter): void
  /** Returns unused units; false if there is nothing more to sweep. */
  sweep(): boolean
  /** Whether it can be dropped without a loss. */
  isIdle(now: number): boolean
  /** Returns everything, and fails waiting demands. Resolves after the store has been updated. */
  close(error: unknown): Promise<void>
}

/** Shared by all counters of a limiter. */
export interface LimiterContext {
  readonly link: StoreLink
  readonly clock: Clock
  /** The id of this process. */
  readonly holder: string
  /** Numbers the requests of this holder, over all counters. */
  readonly nextSequence: () => number
  /** Milliseconds for which slots are held without renewal. */
  readonly holdTimeout: number
  readonly waiterLimit: WaiterLimit
  /** Adds it to the sweep. */
  watch(counter: CounterState): void
}

/** Bounds the waiting demands of a limiter. */
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

/** A waiting demand. */
interface DemandWaiter {
  readonly amount: number
  /** On the monotonic clock. */
  readonly deadline: number
  end(result: AcquireResult): void
}

/** The demands that wait for one counter, in order of arrival. There may be thousands: only `smallest` visits all. */
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

  /** Ends the wait of the demands for which `resultOf` has a result, while `mayContinue`. */
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
 * The units that one process has taken of one counter in one window. A reservation settles with the lease that it was made from, so that units that return
 * after the end of the window do not get into the next one.
 */
export class UnitLease implements Hold {
  readonly window: CountingWindow
  readonly #onSettled: (lease: UnitLease) => void
  /** Taken from the store and free. */
  units = 0
  /** Reserved and not settled. */
  running = 0
  /** Used beyond what was taken, and not yet reported to the store. */
  owed = 0
  /** Free units as last reported to the store. */
  reported = 0
  /** Units reserved since the last sweep, and in total. */
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
