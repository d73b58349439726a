import type { CounterState } from './leases.ts'
import type { Clock } from './limiter-clock.ts'

/** Leases looked at in one sweep at most, as each may lead to a call to the store. More take more sweeps. */
const maxLeasesPerSweep = 5000
/** Counters looked at in one sweep at least, whether they are still used. */
const minDropChecks = 1000
/** A counter that is not used is dropped in the second round over all of them; a round takes so many sweeps. */
const sweepsPerRound = 20

/** The one timer of a limiter: gives back leases that lie unused, and drops counters that nobody uses. Runs only as long as there are counters. */
export class CounterSweep {
  readonly #counters: Map<string, CounterState>
  readonly #clock: Clock
  readonly #interval: number
  readonly #swept: CounterState[] = []
  #at = 0
  #cursor: Iterator<CounterState> | undefined
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
    this.#swept.push(counter)
    this.start()
  }

  start(): void {
    if (this.#cancel || this.#isStopped) return
    this.#cancel = this.#clock.after(this.#interval, () => {
      this.#cancel = undefined
      this.#sweepLeases()
      this.#dropIdle()
      if (this.#counters.size > 0 || this.#swept.length > 0) this.start()
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  #sweepLeases(): void {
    for (let left = Math.min(this.#swept.length, maxLeasesPerSweep); left > 0; left--) {
      if (this.#at >= this.#swept.length) this.#at = 0
      const counter = this.#swept[this.#at]
      if (!counter) return
      // Before the sweep: what it leads to may add it anew.
      if (counter.sweep()) this.#at++
      else {
        counter.isSwept = false
        const last = this.#swept.pop()
        if (last && last !== counter) this.#swept[this.#at] = last
      }
    }
  }

  #dropIdle(): void {
    // A small round is over at once, and the next has to wait for its time all the same.
    if (this.#sweeps++ < sweepsPerRound && !this.#cursor) return
    if (!this.#cursor) this.#sweeps = 0
    const now = this.#clock.now()
    const checks = Math.max(minDropChecks, Math.ceil(this.#counters.size / sweepsPerRound))
    for (let checked = 0; checked < checks; checked++) {
      this.#cursor ??= this.#counters.values()
      const { value: counter, done } = this.#cursor.next()
      if (done || !counter) {
        this.#cursor = undefined
        return
      }
      if (counter.isRecentlyUsed) counter.isRecentlyUsed = false
      else if (counter.isIdle(now)) {
        counter.isRegistered = false
        this.#counters.delete(counter.id)
      }
    }
  }
}
