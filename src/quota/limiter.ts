import { unavailable } from '../errors.ts'
import type { Counter, Demand, Limiter, QuotaStore, QuotaRefusal, Reservation, CounterStatus } from './counters.ts'
import { type CounterState, type Hold, type AcquireResult, type LimiterContext, WaiterLimit } from './leases.ts'
import { SlotCounter } from './slot-counter.ts'
import { UnitCounter } from './unit-counter.ts'
import { type Clock, systemClock } from './limiter-clock.ts'
import { type StoreEvents, StoreLink } from './limiter-link.ts'
import { CounterSweep } from './limiter-sweep.ts'

export type { Clock } from './limiter-clock.ts'

export interface LimiterOptions {
  /** Disposed with the limiter. */
  readonly store: QuotaStore
  /** What becomes of a request whose limits cannot be counted because the store is out of reach: refused with 503, or admitted uncounted. */
  readonly failure: 'closed' | 'open'
  readonly clock?: Clock
  readonly events?: StoreEvents
  /** Names this process to the store; different for every process. Default: a random UUID. */
  readonly holder?: string
  readonly times?: Partial<LimiterTimes>
  /** Requests that may wait for the store at a time; more are treated as if it were out of reach. Default: 10,000. */
  readonly maxWaiting?: number
}

/** Milliseconds. */
interface LimiterTimes {
  /** For an answer of the store. Default: 1500. */
  readonly timeout: number
  /** That a demand waits for what other processes hold unused, before it is refused. Default: 600. */
  readonly maxWait: number
  /** Between two looks for leases that lie unused: they go back after one to two of it. Default: 250. */
  readonly sweepInterval: number
  /** For which slots are held without a renewal: how long a dead process's are lost. Default: 10,000. */
  readonly holdTimeout: number
}

const defaultTimes: LimiterTimes = { timeout: 1500, maxWait: 600, sweepInterval: 250, holdTimeout: 10_000 }
const defaultMaxWaiting = 10_000

/** Seconds. */
const outageRetryAfter = 2

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
  readonly #context: LimiterContext
  readonly #counters = new Map<string, CounterState>()
  readonly #sweep: CounterSweep
  readonly #maxWait: number
  /** Requests that have been told as admitted uncounted. */
  readonly #unmetered = new WeakSet()
  #isClosed = false

  constructor(options: LimiterOptions) {
    const times = { ...defaultTimes, ...options.times }
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#link = new StoreLink(options.store, { clock: this.#clock, timeout: times.timeout, events: options.events ?? {} })
    this.#sweep = new CounterSweep(this.#counters, this.#clock, times.sweepInterval)
    this.#maxWait = times.maxWait
    let sequence = 0
    this.#context = {
      link: this.#link,
      clock: this.#clock,
      holder: options.holder ?? crypto.randomUUID(),
      nextSequence: () => ++sequence,
      holdTimeout: times.holdTimeout,
      waiterLimit: new WaiterLimit(options.maxWaiting ?? defaultMaxWaiting),
      watch: (counter) => this.#sweep.add(counter),
    }
  }

  reserve(demands: readonly Demand[], request?: object): Reservation | QuotaRefusal | Promise<Reservation | QuotaRefusal> {
    if (this.#isClosed) throw this.#unavailable(new Error('the limiter has been closed'))
    const now = this.#clock.now()
    for (const { counter, amount } of demands) checkAmount(counter, amount)
    const reservation = new HeldReservation(demands)
    for (const { counter, amount } of demands) {
      const hold = this.#stateOf(counter).tryTake(amount, now)
      if (!hold) {
        reservation.undo()
        return this.#wait(demands, now, request)
      }
      reservation.holds.push(hold)
    }
    return reservation
  }

  counter(counter: Counter): CounterState {
    return this.#stateOf(counter)
  }

  status(counter: Counter) {
    return this.#stateOf(counter).status()
  }

  each(visit: (counter: Counter, status: CounterStatus) => void): void {
    for (const counter of this.#counters.values()) visit(counter, counter.status())
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
    if (isCounterState(counter) && counter.isRegistered) return counter
    const known = this.#counters.get(counter.id)
    if (known) {
      if (!isCounterState(counter)) known.update(counter)
      return known
    }
    const isSlots = counter.unit === 'slots'
    const state = isCounterState(counter)
      ? counter
      : isSlots
        ? new SlotCounter(counter, this.#context)
        : new UnitCounter(counter, this.#context)
    state.isRegistered = true
    this.#counters.set(state.id, state)
    this.#sweep.start()
    return state
  }

  #wait(demands: readonly Demand[], now: number, request: object | undefined): QuotaRefusal | Promise<Reservation | QuotaRefusal> {
    const refusal = this.#findExhausted(demands)
    if (refusal) return refusal
    // All that lack something ask at once; they are then waited for one after the other.
    if (demands.length > 1) for (const { counter, amount } of demands) this.#stateOf(counter).prefetch(amount, now)
    return this.#acquireAll(demands, request)
  }

  /** One after the other by id, so that no two requests ever wait for one another. */
  async #acquireAll(demands: readonly Demand[], request: object | undefined): Promise<Reservation | QuotaRefusal> {
    const deadline = this.#clock.monotonic() + this.#maxWait
    const holds = new Map<Demand, Hold>()
    for (const demand of demands.toSorted((a, b) => (a.counter.id < b.counter.id ? -1 : 1))) {
      const result = await this.#acquire(demand, deadline)
      if ('settle' in result) holds.set(demand, result)
      else {
        for (const [{ amount }, hold] of holds) hold.settle(amount, 0)
        if ('error' in result) throw this.#unavailable(result.error)
        return this.#findExhausted(demands) ?? toRefusal(demand, this.#stateOf(demand.counter))
      }
    }
    const reservation = new HeldReservation(demands)
    for (const demand of demands) reservation.holds.push(holds.get(demand) ?? uncounted)
    if (reservation.holds.includes(uncounted)) this.#countUnmetered(request)
    return reservation
  }

  #countUnmetered(request: object | undefined): void {
    if (request && this.#unmetered.has(request)) return
    if (request) this.#unmetered.add(request)
    this.#link.countUnmetered()
  }

  async #acquire({ counter, amount }: Demand, deadline: number): Promise<AcquireResult> {
    const state = this.#stateOf(counter)
    const result = state.tryTake(amount, this.#clock.now()) ?? (await state.acquire(amount, deadline))
    return 'error' in result && this.#options.failure === 'open' ? uncounted : result
  }

  /** The first that is known to have too little. */
  #findExhausted(demands: readonly Demand[]): QuotaRefusal | undefined {
    for (const demand of demands) {
      const state = this.#stateOf(demand.counter)
      if (state.isExhausted(demand.amount)) return toRefusal(demand, state)
    }
    return undefined
  }

  #unavailable(cause: unknown): Error {
    return unavailable('Limits cannot be checked at the moment. Try again shortly.', outageRetryAfter, {
      code: 'quota_unavailable',
      denial: { by: 'quota', reason: 'the quota store is out of reach' },
      cause,
    })
  }
}

/** What one request holds. */
class HeldReservation implements Reservation {
  /** Of the demands, in their order. */
  readonly holds: Hold[] = []
  readonly #demands: readonly Demand[]
  #isSettled = false

  constructor(demands: readonly Demand[]) {
    this.#demands = demands
  }

  settle(used: readonly number[]): void {
    if (this.#isSettled) return
    this.#isSettled = true
    for (let at = 0; at < this.holds.length; at++) {
      const reserved = this.#demands[at]?.amount ?? 0
      this.holds[at]?.settle(reserved, toUsedUnits(used[at], reserved))
    }
  }

  /** Nothing of it was used. */
  undo(): void {
    for (let at = 0; at < this.holds.length; at++) this.holds[at]?.settle(this.#demands[at]?.amount ?? 0, 0)
  }
}

/** In place of what could not be counted. */
const uncounted: Hold = { settle: () => undefined }

function isCounterState(counter: Counter): counter is CounterState {
  return counter instanceof UnitCounter || counter instanceof SlotCounter
}

function checkAmount({ label }: Counter, amount: number): void {
  if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`limit '${label}': ${amount} is no number of units`)
}

/** Whole units, rounded up; the whole reservation where what was used makes no sense. */
function toUsedUnits(used: number | undefined, reserved: number): number {
  if (used === reserved) return used
  if (used === undefined || !Number.isFinite(used)) return reserved
  return Math.min(Math.max(Math.ceil(used), 0), Number.MAX_SAFE_INTEGER)
}

function toRefusal({ counter, amount }: Demand, state: CounterState): QuotaRefusal {
  return { refused: counter, retryAfter: state.retryAfter(amount), exceedsLimit: amount > state.limit }
}
