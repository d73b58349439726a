/** Milliseconds of contention after which units that other processes hold, and did not return, count as abandoned. */
const abandonedAfter = 5000

/**
 * The units of a counter that other processes hold and will not return: the lease of a dead process stays in the store until its window ends. A running
 * process returns unused units once the counter is contended, so what is held throughout counts as abandoned. This only decides the `Retry-After` of
 * refusals: units that are returned later can be taken.
 */
export class AbandonedUnits {
  #units = 0
  /** The minimum that was held since `#since`. */
  #minimum = 0
  #since: number | undefined

  get units(): number {
    return this.#units
  }

  /** Other processes held `remoteUnits` at `now` (monotonic milliseconds). */
  observe(remoteUnits: number, now: number, isRefused: boolean): void {
    this.#units = Math.min(this.#units, remoteUnits)
    this.#minimum = Math.min(this.#minimum, remoteUnits)
    if (!isRefused) return
    if (this.#since !== undefined && now - this.#since < abandonedAfter) return
    if (this.#since !== undefined) this.#units = this.#minimum
    this.#since = now
    this.#minimum = remoteUnits
  }

  /** A new window begins. */
  clear(): void {
    this.#units = 0
    this.#minimum = 0
    this.#since = undefined
  }
}
