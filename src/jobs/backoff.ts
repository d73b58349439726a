/** Milliseconds. */
export interface Backoff {
  /** Before the second attempt. */
  readonly initial: number
  readonly max: number
}

const defaults: Backoff = { initial: 1000, max: 300_000 }

/**
 * Milliseconds to wait after so many attempts: doubled each time, up to the maximum, of which a random half is left out, so that jobs that failed
 * together do not come back together.
 * @param random 0 ≤ random < 1
 */
export function retryDelay(attempts: number, backoff: Partial<Backoff> = {}, random: number = Math.random()): number {
  const { initial, max } = { ...defaults, ...backoff }
  const full = Math.min(max, initial * 2 ** Math.min(attempts - 1, 52))
  return Math.round(full * (0.5 + random / 2))
}
