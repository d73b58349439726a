/** Ids of traces and spans: unique among processes, not secret. */
export interface Ids {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: () => string
  /** 16 of them. */
  readonly spanId: () => string
}

const hex = Array.from({ length: 65_536 }, (_, value) => value.toString(16).padStart(4, '0'))

/**
 * Seeded with 128 random bits a process, then counted on by a generator (sfc32, Doty-Humphrey): asking the system for each id would cost more than
 * all else that a request's trace does.
 */
export function createIds(seed: Uint32Array = crypto.getRandomValues(new Uint32Array(4))): Ids {
  let [a = 0, b = 0, c = 0, counter = 1] = seed
  const next = (): number => {
    const result = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + result
    c |= 0
    return result
  }
  for (let round = 0; round < 15; round++) next()
  const word = (): string => {
    const value = next()
    return (hex[value >>> 16] as string) + (hex[value & 0xffff] as string)
  }
  const spanId = (): string => {
    const id = word() + word()
    return id === '0000000000000000' ? spanId() : id
  }
  return { traceId: () => spanId() + spanId(), spanId }
}
