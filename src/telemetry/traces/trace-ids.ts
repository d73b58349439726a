/** Ids of traces and spans: random. */
export interface Ids {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: () => string
  /** 16 of them. */
  readonly spanId: () => string
}

/** Bytes requested at a time: a system call for each id would cost more than the rest of a request’s trace. */
const pooled = 4096

/** @param fill fills an array with random bytes */
export function createIds(fill: (bytes: Uint8Array<ArrayBuffer>) => unknown = (bytes) => crypto.getRandomValues(bytes)): Ids {
  const pool = Buffer.alloc(pooled)
  let at = pooled
  const id = (length: number): string => {
    if (at + length > pooled) {
      fill(pool)
      at = 0
    }
    at += length
    const text = pool.toString('hex', at - length, at)
    return /[^0]/.test(text) ? text : id(length)
  }
  return { traceId: () => id(16), spanId: () => id(8) }
}
