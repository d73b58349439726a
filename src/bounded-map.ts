/** A map of limited size: a new key in a full map removes the oldest. */
export class BoundedMap<K, V> {
  readonly #map = new Map<K, V>()
  readonly #maxSize: number

  constructor(maxSize: number) {
    this.#maxSize = maxSize
  }

  get size(): number {
    return this.#map.size
  }

  get(key: K): V | undefined {
    return this.#map.get(key)
  }

  has(key: K): boolean {
    return this.#map.has(key)
  }

  /** Sets a value; a key that is set again becomes the newest. */
  set(key: K, value: V): void {
    this.#map.delete(key)
    if (this.#map.size >= this.#maxSize) for (const oldest of this.#map.keys()) if (this.#map.delete(oldest)) break
    this.#map.set(key, value)
  }

  delete(key: K): void {
    this.#map.delete(key)
  }

  clear(): void {
    this.#map.clear()
  }
}
