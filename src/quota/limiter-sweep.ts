import type { CounterState } from './leases.ts'
import type { Clock } from './limiter-clock.ts'

/** Leases looked at in one sweep at most, as each may lead to a call to the store. More take more sweeps. */
const mostLeases = 5000
/** Counters looked at in one sweep at least, whether they are still used. */
const leastDropChecks = 1000
/** A counter that is not used is dropped in the second round over all of them; a round takes so many sweeps. */
const sweepsARound = 20

/** The one timer of a limiter: gives back leases that lie unused, and drops counters that nobody uses. Runs only as long as there are counters. */
export class CounterSweep {
  readonly #counters: Map<string, CounterState>
  readonly #clock: Clock
  readonly #interval: number
  readonly #holding: CounterState[] = []
  #at = 0
  #hand: Iterator<CounterState> | undefined
  #sweeps = 0
  #cancel: (() => void) | undefined
  #isStopped = false

  constructor(counters: Map<string, CounterState>, clock: Clock, interval: number) {
    this.#counters = counters
    this.#clock = clock
    this.#interval = interval
  }

  /** From now on it is swept, until it says that it holds nothing. */
  add(counter: CounterState): void {
    if (counter.isSwept) return
    counter.isSwept = true
    this.#holding.push(counter)
    this.start()
  }

  start(): void {
    if (this.#cancel || this.#isStopped) return
    this.#cancel = this.#clock.after(this.#interval, () => {
      this.#cancel = undefined
      this.#sweepLeases()
      this.#dropIdle()
      if (this.#counters.size > 0 || this.#holding.length > 0) this.start()
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  #sweepLeases(): void {
    for (let left = Math.min(this.#holding.length, mostLeases); left > 0; left--) {
      if (this.#at >= this.#holding.length) this.#at = 0
      const counter = this.#holding[this.#at]
      if (!counter) return
      // Before the sweep: what it leads to may add it anew.
      if (counter.sweep()) this.#at++
      else {
        counter.isSwept = false
        const last = this.#holding.pop()
        if (last && last !== counter) this.#holding[this.#at] = last
      }
    }
  }

  #dropIdle(): void {
    // A small round is over at once, and the next has to wait for its time all the same.
    if (this.#sweeps++ < sweepsARound && !this.#hand) return
    if (!this.#hand) this.#sweeps = 0
    const now = this.#clock.now()
    const checks = Math.max(leastDropChecks, Math.ceil(this.#counters.size / sweepsARound))
    for (let checked = 0; checked < checks; checked++) {
      this.#hand ??= this.#counters.values()
      const { value: counter, done } = this.#hand.next()
      if (done || !counter) {
        this.#hand = undefined
        return
      }
      if (counter.isFresh) counter.isFresh = false
      else if (counter.isIdle(now)) {
        counter.isKept = false
        this.#counters.delete(counter.id)
      }
    }
  }
}
