/** How much is measured. The patterns and rates are the same in both: only counts and times differ. */
export interface Plan {
  readonly name: 'quick' | 'full'
  readonly rounds: number
  /** Seconds of a measured window (twice as long where streams are measured, since /proc counts in hundredths, and at half of saturation), and of the load before it that does not count. */
  readonly window: number
  readonly warmUp: number
  /** Starts for the cold-start figure. */
  readonly starts: number
  /** Servers that hold streams: in the quick plan Corral alone. */
  readonly holdAll: boolean
}

export const plans: Readonly<Record<Plan['name'], Plan>> = {
  quick: { name: 'quick', rounds: 1, window: 2, warmUp: 0.5, starts: 3, holdAll: false },
  full: { name: 'full', rounds: 5, window: 4, warmUp: 1, starts: 15, holdAll: true },
}

/** Connections for each pattern. The streamed ones offer 20,000 and 4,000 frames a second, below what a relay can carry, so that the pattern arrives as it is named. */
export const concurrency = { plain: 32, burst: 20, paced: 40 } as const

/** Plain requests per second for the latency figure: every candidate can sustain them. */
export const fixedRate = 50

/** Streams held open at once, and the seconds over which they are begun. */
export const held = { streams: 2000, begunWithin: 6 } as const
