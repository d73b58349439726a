/** Milliseconds after which what others hold, and nobody has given back though it was asked for, is no longer hoped for. */
const abandonedAfter = 5000

/**
 * How much of what other processes hold of a counter will not come back: a dead one's lease stays in the store until its window ends. Who lives
 * gives back what lies unused as soon as somebody was refused, so what has been held ever since is taken for lost. It decides what refused callers
 * are told and nothing else: when it does come back after all, it is there for the next who asks.
 */
export class AbandonedUnits {
  #units = 0
  /** The least that was held since `#since`. */
  #minimum = 0
  #since: number | undefined

  get units(): number {
    return this.#units
  }

  /** Others were seen to hold `elsewhere` at `now` (milliseconds on the monotonic clock), after a refusal or without. */
  observe(remoteUnits: number, now: number, isRefused: boolean): void {
    this.#units = Math.min(this.#units, remoteUnits)
    this.#minimum = Math.min(this.#minimum, remoteUnits)
    if (!isRefused) return
    if (this.#since !== undefined && now - this.#since < abandonedAfter) return
    if (this.#since !== undefined) this.#units = this.#minimum
    this.#since = now
    this.#minimum = remoteUnits
  }

  /** Another window: nobody holds anything. */
  clear(): void {
    this.#units = 0
    this.#minimum = 0
    this.#since = undefined
  }
}
