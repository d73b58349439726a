import { unavailable } from '../errors.ts'
import type { Counter, Demand, Limiter, QuotaStore, Refusal, Reservation, Standing } from './counters.ts'
import { type CounterState, type Grip, type Outcome, type Surroundings, WaitingRoom } from './leases.ts'
import { SlotCounter } from './leases-slots.ts'
import { UnitCounter } from './leases-units.ts'
import { type Clock, systemClock } from './limiter-clock.ts'
import { type LinkEvents, StoreLink } from './limiter-link.ts'
import { CounterSweep } from './limiter-sweep.ts'

export type { Clock } from './limiter-clock.ts'
export type { LinkEvents as LimiterEvents } from './limiter-link.ts'

export interface LimiterOptions {
  /** Disposed with the limiter. */
  readonly store: QuotaStore
  /** What becomes of a request whose limits cannot be counted because the store is out of reach: refused with 503, or admitted uncounted. */
  readonly failure: 'closed' | 'open'
  readonly clock?: Clock
  readonly events?: LinkEvents
  /** Names this process to the store; different for every process. Default: a random UUID. */
  readonly holder?: string
  readonly times?: Partial<LimiterTimes>
  /** Requests that may wait for the store at a time; more are treated as if it were out of reach. Default: 10,000. */
  readonly mostWaiting?: number
}

/** Milliseconds. */
export interface LimiterTimes {
  /** For an answer of the store. Default: 1500. */
  readonly timeout: number
  /** That a demand waits for what other processes hold unused, before it is refused. Default: 600. */
  readonly patience: number
  /** Between two looks for leases that lie unused: they go back after one to two of it. Default: 250. */
  readonly sweep: number
  /** For which slots are held without a renewal: how long a dead process's are lost. Default: 10,000. */
  readonly holdFor: number
}

const defaultTimes: LimiterTimes = { timeout: 1500, patience: 600, sweep: 250, holdFor: 10_000 }
const defaultMostWaiting = 10_000

/** Seconds. */
const retryAfterOutage = 2

/**
 * A limiter of one process over a store that it may share with others.
 *
 * Units are taken from the store in leases and reserved from those in memory, so that a request asks the store only when a lease is used up. In every
 * window, what all processes have admitted is at most what they have taken, and that is at most the limit: whatever is lost, late, in another order or
 * dies leaves units taken and unused, never used and untaken. Only a settlement above its reservation may take the sum above the limit, by as much.
 *
 * Processes may disagree on the time: each counts in the window of its own clock, and every window keeps its limit. A clock that is behind by more than
 * a window's grace (a minute, an hour for long windows) gets the answer that the window is over, as if the store were out of reach.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  return new LeasingLimiter(options)
}

class LeasingLimiter implements Limiter {
  readonly #options: LimiterOptions
  readonly #clock: Clock
  readonly #link: StoreLink
  readonly #around: Surroundings
  readonly #counters = new Map<string, CounterState>()
  readonly #sweep: CounterSweep
  readonly #patience: number
  /** Requests that have been told as admitted uncounted. */
  readonly #unmetered = new WeakSet()
  #isClosed = false

  constructor(options: LimiterOptions) {
    const times = { ...defaultTimes, ...options.times }
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#link = new StoreLink(options.store, { clock: this.#clock, timeout: times.timeout, events: options.events ?? {} })
    this.#sweep = new CounterSweep(this.#counters, this.#clock, times.sweep)
    this.#patience = times.patience
    let sequence = 0
    this.#around = {
      link: this.#link,
      clock: this.#clock,
      holder: options.holder ?? crypto.randomUUID(),
      nextSequence: () => ++sequence,
      holdFor: times.holdFor,
      queue: new WaitingRoom(options.mostWaiting ?? defaultMostWaiting),
      watch: (counter) => this.#sweep.add(counter),
    }
  }

  reserve(demands: readonly Demand[], request?: object): Reservation | Refusal | Promise<Reservation | Refusal> {
    if (this.#isClosed) throw this.#outOfReach(new Error('the limiter has been closed'))
    const now = this.#clock.now()
    for (const { counter, amount } of demands) checkAmount(counter, amount)
    const taken = new Taken(demands)
    for (const { counter, amount } of demands) {
      const grip = this.#stateOf(counter).draw(amount, now)
      if (!grip) {
        taken.undo()
        return this.#wait(demands, now, request)
      }
      taken.grips.push(grip)
    }
    return taken
  }

  counter(counter: Counter): CounterState {
    return this.#stateOf(counter)
  }

  standing(counter: Counter) {
    return this.#stateOf(counter).standing()
  }

  each(visit: (counter: Counter, standing: Standing) => void): void {
    for (const counter of this.#counters.values()) visit(counter, counter.standing())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#sweep.stop()
    const error = new Error('the limiter has been closed')
    await Promise.all([...this.#counters.values()].map((counter) => counter.close(error)))
    this.#counters.clear()
    this.#link.close()
    await this.#options.store[Symbol.asyncDispose]()
  }

  #stateOf(counter: Counter): CounterState {
    if (isState(counter) && counter.isKept) return counter
    const known = this.#counters.get(counter.id)
    if (known) {
      if (!isState(counter)) known.update(counter)
      return known
    }
    const isSlots = counter.unit === 'slots'
    const state = isState(counter) ? counter : isSlots ? new SlotCounter(counter, this.#around) : new UnitCounter(counter, this.#around)
    state.isKept = true
    this.#counters.set(state.id, state)
    this.#sweep.start()
    return state
  }

  #wait(demands: readonly Demand[], now: number, request: object | undefined): Refusal | Promise<Reservation | Refusal> {
    const refusal = this.#shortOf(demands)
    if (refusal) return refusal
    // All that lack something ask at once; they are then waited for one after the other.
    if (demands.length > 1) for (const { counter, amount } of demands) this.#stateOf(counter).warm(amount, now)
    return this.#acquireAll(demands, request)
  }

  /** One after the other by id, so that no two requests ever wait for one another. */
  async #acquireAll(demands: readonly Demand[], request: object | undefined): Promise<Reservation | Refusal> {
    const deadline = this.#clock.monotonic() + this.#patience
    const grips = new Map<Demand, Grip>()
    for (const demand of demands.toSorted((a, b) => (a.counter.id < b.counter.id ? -1 : 1))) {
      const outcome = await this.#acquire(demand, deadline)
      if ('settle' in outcome) grips.set(demand, outcome)
      else {
        for (const [{ amount }, grip] of grips) grip.settle(amount, 0)
        if ('error' in outcome) throw this.#outOfReach(outcome.error)
        return this.#shortOf(demands) ?? refusalOf(demand, this.#stateOf(demand.counter))
      }
    }
    const taken = new Taken(demands)
    for (const demand of demands) taken.grips.push(grips.get(demand) ?? uncounted)
    if (taken.grips.includes(uncounted)) this.#countUnmetered(request)
    return taken
  }

  #countUnmetered(request: object | undefined): void {
    if (request && this.#unmetered.has(request)) return
    if (request) this.#unmetered.add(request)
    this.#link.countUnmetered()
  }

  async #acquire({ counter, amount }: Demand, deadline: number): Promise<Outcome> {
    const state = this.#stateOf(counter)
    const outcome = state.draw(amount, this.#clock.now()) ?? (await state.acquire(amount, deadline))
    return 'error' in outcome && this.#options.failure === 'open' ? uncounted : outcome
  }

  /** The first that is known to have too little. */
  #shortOf(demands: readonly Demand[]): Refusal | undefined {
    for (const demand of demands) {
      const state = this.#stateOf(demand.counter)
      if (state.isShort(demand.amount)) return refusalOf(demand, state)
    }
    return undefined
  }

  #outOfReach(cause: unknown): Error {
    return unavailable('Limits cannot be checked at the moment. Try again shortly.', retryAfterOutage, {
      code: 'quota_unavailable',
      denial: { by: 'quota', reason: 'the quota store is out of reach' },
      cause,
    })
  }
}

/** What one request holds. */
class Taken implements Reservation {
  /** Of the demands, in their order. */
  readonly grips: Grip[] = []
  readonly #demands: readonly Demand[]
  #isSettled = false

  constructor(demands: readonly Demand[]) {
    this.#demands = demands
  }

  settle(used: readonly number[]): void {
    if (this.#isSettled) return
    this.#isSettled = true
    for (let at = 0; at < this.grips.length; at++) {
      const reserved = this.#demands[at]?.amount ?? 0
      this.grips[at]?.settle(reserved, usedUnits(used[at], reserved))
    }
  }

  /** Nothing of it was used. */
  undo(): void {
    for (let at = 0; at < this.grips.length; at++) this.grips[at]?.settle(this.#demands[at]?.amount ?? 0, 0)
  }
}

/** In place of what could not be counted. */
const uncounted: Grip = { settle: () => undefined }

function isState(counter: Counter): counter is CounterState {
  return counter instanceof UnitCounter || counter instanceof SlotCounter
}

function checkAmount({ label }: Counter, amount: number): void {
  if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`limit '${label}': ${amount} is no number of units`)
}

/** Whole units, rounded up; the whole reservation where what was used makes no sense. */
function usedUnits(used: number | undefined, reserved: number): number {
  if (used === reserved) return used
  if (used === undefined || !Number.isFinite(used)) return reserved
  return Math.min(Math.max(Math.ceil(used), 0), Number.MAX_SAFE_INTEGER)
}

function refusalOf({ counter, amount }: Demand, state: CounterState): Refusal {
  return { refused: counter, retryAfter: state.retryAfter(amount), never: amount > state.limit }
}
