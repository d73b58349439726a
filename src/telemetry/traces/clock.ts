/** Converts `performance.now()` into Unix milliseconds with fractions. */
export type WallClock = (moment: number) => number

/** The clocks drift apart, and one may be set: they are compared at every call, and differences below their grain ignored. */
export function createWallClock(now: () => number = Date.now, monotonic: () => number = () => performance.now()): WallClock {
  let offset = now() - monotonic()
  return (moment) => {
    const current = now() - monotonic()
    if (Math.abs(current - offset) > grain) offset = current
    return moment + offset
  }
}

/** Milliseconds. */
const grain = 2
