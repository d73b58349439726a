/** Tells the time of day, in Unix milliseconds with fractions, of moments that were taken with `performance.now()`. */
export type WallClock = (moment: number) => number

/** The two clocks drift apart over days, and somebody may set the one: they are compared whenever asked, and what is less than their grain is left. */
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
