import type { CounterState } from './leases.ts'
import type { Clock } from './limiter-clock.ts'

/** Each lease may need a call of the store; further ones are left to the next sweeps. */
const maxLeasesPerSweep = 5000
/** Counters that a sweep checks for being idle, at least. */
const minDropChecks = 1000
/** A round over all counters takes so many sweeps; an idle one is dropped in the second round. */
const sweepsPerRound = 20

/** The timer of a limiter: returns unused leases, and drops idle counters. Runs while there are counters. */
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

  /** Sweeps the counter until it holds nothing. */
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
      // `sweep` may add it again.
      if (counter.sweep()) this.#at++
      else {
        counter.isSwept = false
        const last = this.#swept.pop()
        if (last && last !== counter) this.#swept[this.#at] = last
      }
    }
  }

  #dropIdle(): void {
    // A round over few counters ends at once; the next one starts at its time.
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
