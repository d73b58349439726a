/*
 * Rate limits over a store that several processes share, without a call of the store for each request.
 *
 *  1. `reserve` gets demands: a counter (one limit, one subject, one unit) and an amount each, the worst case of a request.
 *  2. Each counter takes the amount from what this process holds: units of a lease (`unit-counter.ts`), or slots of a hold (`slot-counter.ts`). If all
 *     have enough, the request is admitted without waiting. All demands are taken, or none.
 *  3. A counter that recently learned that the store has too little refuses at once, until its pause ends or units return.
 *  4. Otherwise the demand waits, and the counter exchanges with the store (`limiter-link.ts`): it returns unused units, reports overdraft, and takes
 *     a lease of what it needs and a spare that grows with the rate of use. One exchange at a time; all waiting demands share it.
 *  5. If the store has too little but other processes hold unused units, the store marks the counter as contended: they return what they do not need,
 *     and the demand polls for up to `maxWait`. Then it is refused.
 *  6. `settle` replaces the reservation by the real use: the rest goes back to the lease, an excess is reported with the next exchange.
 *  7. A sweep (`limiter-sweep.ts`) returns units that stay unused, renews holds of slots, and drops idle counters.
 *
 * Invariant: in each window, what all processes admitted ≤ what they took from the store ≤ the limit. A lost, late or reordered message, or the death of
 * a process, leaves units taken and unused, never used and untaken. Only a settlement above its reservation exceeds the limit, by its excess.
 *
 * Each process counts in the window of its own clock, and every window keeps its limit. For a clock that is behind by more than a window's grace (a
 * minute, an hour for long windows) the store reports the window as expired, which is handled as an outage.
 */

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
  /** While the store is unavailable: `closed` refuses with 503, `open` admits uncounted. */
  readonly failure: 'closed' | 'open'
  readonly clock?: Clock
  readonly events?: StoreEvents
  /** The id of this process in the store. Default: a random UUID. */
  readonly holder?: string
  readonly times?: Partial<LimiterTimes>
  /** Demands that may wait for the store; more are handled as if it were unavailable. Default: 10,000. */
  readonly maxWaiting?: number
}

/** Milliseconds. */
interface LimiterTimes {
  /** Of a call of the store. Default: 1500. */
  readonly timeout: number
  /** For which a demand waits for units that other processes hold unused. Default: 600. */
  readonly maxWait: number
  /** Between two sweeps: unused units are returned after one or two of them. Default: 250. */
  readonly sweepInterval: number
  /** For which slots are held without renewal: for so long the slots of a dead process are lost. Default: 10,000. */
  readonly holdTimeout: number
}

const defaultTimes: LimiterTimes = { timeout: 1500, maxWait: 600, sweepInterval: 250, holdTimeout: 10_000 }
const defaultMaxWaiting = 10_000

/** Seconds. */
const outageRetryAfter = 2

/** A limiter of one process. The flow is described at the head of this file. */
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
  /** Requests already counted as admitted unmetered. */
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
    // All counters start their exchanges at once, and are then awaited in turn.
    if (demands.length > 1) for (const { counter, amount } of demands) this.#stateOf(counter).prefetch(amount, now)
    return this.#acquireAll(demands, request)
  }

  /** In the order of the ids, so that no two requests deadlock. */
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

  /** The first known to have too little. */
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
      denial: { by: 'quota', reason: 'the quota store is unavailable' },
      cause,
    })
  }
}

/** The holds of one request. */
class HeldReservation implements Reservation {
  /** In the order of the demands. */
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

  /** Returns everything. */
  undo(): void {
    for (let at = 0; at < this.holds.length; at++) this.holds[at]?.settle(this.#demands[at]?.amount ?? 0, 0)
  }
}

/** The hold of a demand that was not counted. */
const uncounted: Hold = { settle: () => undefined }

function isCounterState(counter: Counter): counter is CounterState {
  return counter instanceof UnitCounter || counter instanceof SlotCounter
}

function checkAmount({ label }: Counter, amount: number): void {
  if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`limit '${label}': ${amount} is not a non-negative integer`)
}

/** Whole units, rounded up; the whole reservation if the used amount is not a finite number. */
function toUsedUnits(used: number | undefined, reserved: number): number {
  if (used === reserved) return used
  if (used === undefined || !Number.isFinite(used)) return reserved
  return Math.min(Math.max(Math.ceil(used), 0), Number.MAX_SAFE_INTEGER)
}

function toRefusal({ counter, amount }: Demand, state: CounterState): QuotaRefusal {
  return { refused: counter, retryAfter: state.retryAfter(amount), exceedsLimit: amount > state.limit }
}
