import type { Counter, Handle, Window } from './counters.ts'
import type { Clock } from './limiter-clock.ts'
import type { StoreLink } from './limiter-link.ts'

/** What a reservation holds of one counter, to be settled once. */
export interface Grip {
  settle(reserved: number, used: number): void
}

/** How a demand that had to wait ended. */
export type Outcome = Grip | { readonly refused: true } | { readonly error: unknown }

/** What a limiter does with each of its counters. */
export interface CounterState extends Handle {
  limit: number
  /** Found by its id; if not, its limiter has dropped it for being idle, and takes it back when it is used. */
  isKept: boolean
  /** Among those that are swept. */
  isSwept: boolean
  /** Used since the limiter last looked for idle ones. */
  isFresh: boolean
  /** Takes `amount` of what is at hand. */
  draw(amount: number, now: number): Grip | undefined
  /** Takes `amount` as soon as it is there, or tells why not. Waits until `deadline` (on the monotonic clock) for what others hold unused. */
  acquire(amount: number, deadline: number): Promise<Outcome>
  /** Asks for more in the background, so that `acquire` finds it. */
  warm(amount: number, now: number): void
  /** Whether it is known without asking that `amount` cannot be had now. */
  isShort(amount: number): boolean
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
export interface Surroundings {
  readonly link: StoreLink
  readonly clock: Clock
  /** This process, for its slots. */
  readonly holder: string
  /** Numbers the requests of this holder, for whichever counter. */
  readonly nextSequence: () => number
  /** Milliseconds for which slots are held without a renewal. */
  readonly holdFor: number
  readonly queue: WaitingRoom
  /** From now on to be swept. */
  watch(counter: CounterState): void
}

/** Bounds how many demands wait, in one limiter. */
export class WaitingRoom {
  readonly #most: number
  #waiting = 0

  constructor(most: number) {
    this.#most = most
  }

  get isFull(): boolean {
    return this.#waiting >= this.#most
  }

  enter(): void {
    this.#waiting++
  }

  leave(): void {
    this.#waiting--
  }
}

/** A demand that waits. */
export interface Waiter {
  readonly amount: number
  /** On the monotonic clock. */
  readonly deadline: number
  end(outcome: Outcome): void
}

/** Those that wait for one counter, first come first served as far as what is there suffices. May be thousands: nothing but `smallest` looks at all. */
export class Queue {
  readonly #room: WaitingRoom
  #waiters: Waiter[] = []
  #total = 0

  constructor(room: WaitingRoom) {
    this.#room = room
  }

  get length(): number {
    return this.#waiters.length
  }

  get first(): Waiter | undefined {
    return this.#waiters[0]
  }

  get total(): number {
    return this.#total
  }

  get smallest(): number {
    return this.#waiters.reduce((least, { amount }) => Math.min(least, amount), Infinity)
  }

  add(amount: number, deadline: number): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    this.#room.enter()
    this.#total += amount
    this.#waiters.push({ amount, deadline, end: resolve })
    return promise
  }

  /** Ends the wait of those for whom `outcomeOf` has an outcome, as long as there is more to `hope` for. */
  settle(outcomeOf: (waiter: Waiter) => Outcome | undefined, hope: () => boolean = () => true): void {
    const kept: Waiter[] = []
    let seen = 0
    for (; seen < this.#waiters.length && hope(); seen++) {
      const waiter = this.#waiters[seen]
      const outcome = waiter && outcomeOf(waiter)
      if (outcome) this.#end(waiter, outcome)
      else if (waiter) kept.push(waiter)
    }
    if (kept.length < seen) this.#waiters = [...kept, ...this.#waiters.slice(seen)]
  }

  #end(waiter: Waiter, outcome: Outcome): void {
    this.#room.leave()
    this.#total -= waiter.amount
    waiter.end(outcome)
  }
}

/**
 * What one process has taken of one counter in one window. A reservation settles with the lease it was made from, so that what comes back after the
 * window's end cannot get into the next.
 */
export class Lease implements Grip {
  readonly window: Window
  readonly #returned: (lease: Lease) => void
  /** Taken from the store, and free. */
  units = 0
  /** Reserved, and not settled. */
  running = 0
  /** Used beyond what was taken, and not yet counted in the store. */
  owed = 0
  /** Free units as the store knows them. */
  reported = 0
  /** Units reserved since the last sweep, and ever. */
  drawn = 0
  used = 0

  constructor(window: Window, returned: (lease: Lease) => void) {
    this.window = window
    this.#returned = returned
  }

  take(amount: number): this {
    this.units -= amount
    this.running += amount
    this.drawn += amount
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
    this.#returned(this)
  }
}
