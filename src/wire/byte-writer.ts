const slabSize = 65_536
const none = new Uint8Array()

/**
 * Memory for many small arrays, a large piece at a time: an array of its own for each costs more than all that is written into it. What was handed out is
 * never written again. One writer at a time may use it, from its first `add` to its `take`.
 */
export class Slab {
  bytes: Uint8Array = none
  /** What has been handed out. */
  used = 0

  release(): void {
    this.bytes = none
    this.used = 0
  }
}

/** Collects bytes from here and there into one array. */
export class ByteWriter {
  readonly #slab: Slab
  #length = 0

  constructor(slab: Slab) {
    this.#slab = slab
  }

  get length(): number {
    return this.#length
  }

  add(source: Uint8Array, start = 0, end = source.length): void {
    const slab = this.#slab
    const at = slab.used + this.#length
    const size = end - start
    if (at + size > slab.bytes.length) {
      this.#move(size)
      this.add(source, start, end)
      return
    }
    // Twice as fast as `set` of a `subarray`, and works on any Uint8Array.
    copy.call(source, slab.bytes, at, start, end)
    this.#length += size
  }

  /** A copy of what was written from `start` on. */
  copyFrom(start: number): Uint8Array {
    const { bytes, used } = this.#slab
    return bytes.slice(used + start, used + this.#length)
  }

  /** What was written; the writer is empty then. */
  take(): Uint8Array {
    const slab = this.#slab
    const end = slab.used + this.#length
    const taken = slab.bytes.subarray(slab.used, end)
    slab.used = end
    this.#length = 0
    // One huge frame must not be held on to for the sake of the little room behind it.
    if (slab.bytes.length > slabSize) slab.release()
    return taken
  }

  /** Takes what was written on into fresh memory with room for `more`. */
  #move(more: number): void {
    const slab = this.#slab
    const { bytes, used } = slab
    const fresh = new Uint8Array(Math.max(slabSize, (this.#length + more) * 2))
    if (this.#length) copy.call(bytes, fresh, 0, used, used + this.#length)
    slab.bytes = fresh
    slab.used = 0
  }
}

const { copy } = Buffer.prototype
