import { startBackgroundTimer } from '../timing.ts'

/** The time, as a limiter sees it; a test gives its own. */
export interface Clock {
  /** Unix milliseconds; may be set forwards and back. */
  now(): number
  /** Milliseconds since some moment; only goes forward. */
  monotonic(): number
  /** Calls `run` once, in so many milliseconds; does not keep the process alive. Gives what calls it off. */
  after(milliseconds: number, run: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: startBackgroundTimer,
}
