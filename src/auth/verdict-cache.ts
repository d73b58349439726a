/**
 * Verdicts on credentials, by the SHA-256 of each; bounded, each with its own expiry. When it is full, an entry that was not read since
 * the hand last passed is evicted (the "clock" form of least recently used: a hit costs one look-up and one bit, nothing is moved).
 */
export class VerdictCache<T> {
  readonly #slots = new Map<string, number>()
  readonly #digests: string[] = []
  readonly #values: (T | undefined)[] = []
  /** Milliseconds of the epoch. */
  readonly #ends: number[] = []
  readonly #used: boolean[] = []
  readonly #maxEntries: number
  readonly #now: () => number
  #hand = 0

  constructor(maxEntries: number, now: () => number) {
    this.#maxEntries = maxEntries
    this.#now = now
  }

  get size(): number {
    return this.#slots.size
  }

  get(digest: string): T | undefined {
    const slot = this.#slots.get(digest)
    if (slot === undefined || (this.#ends[slot] as number) <= this.#now()) return undefined
    this.#used[slot] = true
    return this.#values[slot]
  }

  /** `end`: milliseconds of the epoch; one that has passed keeps nothing. */
  set(digest: string, value: T, end: number): void {
    if (!(end > this.#now()) || this.#maxEntries < 1) return
    const slot = this.#slots.get(digest) ?? this.#freeSlot()
    this.#slots.set(digest, slot)
    this.#digests[slot] = digest
    this.#values[slot] = value
    this.#ends[slot] = end
    this.#used[slot] = false
  }

  clear(): void {
    this.#slots.clear()
    for (const list of [this.#digests, this.#values, this.#ends, this.#used]) list.length = 0
    this.#hand = 0
  }

  #freeSlot(): number {
    if (this.#digests.length < this.#maxEntries) return this.#digests.length
    const now = this.#now()
    for (;;) {
      const slot = this.#hand
      this.#hand = (slot + 1) % this.#maxEntries
      if (this.#used[slot] && (this.#ends[slot] as number) > now) {
        this.#used[slot] = false
        continue
      }
      this.#slots.delete(this.#digests[slot] as string)
      return slot
    }
  }
}
