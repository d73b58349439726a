import type { Period } from '../call.ts'

/** Something counted against a limit: one limit, one subject, one unit. Kept as plain data so that it is made once a subject, not once a request. */
export interface Counter {
  /** A hash of limit, subject and unit; never a credential. */
  readonly id: string
  /** `requests`, tokens, or billionths of a US dollar (`nano_dollars`); `slots`: running requests, which are given back. */
  readonly unit: 'requests' | 'input_tokens' | 'output_tokens' | 'total_tokens' | 'nano_dollars' | 'slots'
  /** Whole units that may be used in one window; for slots: at any one time. */
  readonly limit: number
  readonly period: Period
  /** For messages: the limit's name, or what it is in words. */
  readonly label: string
  /** For metrics: the configured limit's name, or what it is in words. Absent: the limit is not configured, but of a key. */
  readonly limitName?: string | undefined
}

/** What one request wants of one counter: its worst case. */
export interface Demand {
  readonly counter: Counter
  readonly amount: number
}

/** All that was demanded, taken. To be settled exactly once; what a process holds when it dies stays taken until its window ends. */
export interface Reservation {
  /** What was really used of each demand, in their order; the rest goes back, what exceeds is taken after the fact. Slots are freed. */
  settle(used: readonly number[]): void
}

/** Why a reservation was refused: the first counter that had too little. */
export interface QuotaRefusal {
  readonly refused: Counter
  /** Milliseconds until it may be worth another try. */
  readonly retryAfter: number
  /** Even an empty window would be too small for this demand. */
  readonly exceedsLimit: boolean
}

/** What is left, as far as this process knows without asking. */
export interface CounterStatus {
  readonly limit: number
  readonly remaining: number
  /** Milliseconds to the end of the window; 0 for slots, which have none. */
  readonly reset: number
}

/** A counter with what its limiter knows of it: stands wherever a Counter may, and saves the look-up. To be kept as long as its subject is. */
export interface CounterHandle extends Counter {
  status(): CounterStatus
}

/** Counts against limits that several processes share. Never above the limit, in no order of events. */
export interface Limiter extends AsyncDisposable {
  /**
   * Takes all demands or none. No promise where leases at hand suffice, or where it is known that too little is left. Throws ApiError 503 when the
   * store is out of reach and the limiter fails closed; RangeError for an amount that is no whole number from 0 on. `request`: what this is for, the
   * same object for all that one request reserves; should it be admitted uncounted, it is told once.
   */
  reserve(demands: readonly Demand[], request?: object): Reservation | QuotaRefusal | Promise<Reservation | QuotaRefusal>
  /** The same counter for the same id, as long as it is in use. */
  counter(counter: Counter): CounterHandle
  status(counter: Counter): CounterStatus
  /** Every counter that is in use in this process, with what is left of it. */
  each?(visit: (counter: Counter, status: CounterStatus) => void): void
}

/** Where counts are shared. Every method is one atomic step. */
export interface QuotaStore extends AsyncDisposable {
  /** Whether other processes count here too. If not, all that is left is taken at once, and need never go back. */
  readonly shared: boolean
  /** Gives back, counts and takes units of one window. Rejects with WindowOver where the window has been over for long by the store's own clock. */
  exchange(request: StoreExchange): Promise<StoreExchangeReply>
  /** Sets how many slots a process holds, unless all together would hold more than the limit. */
  hold(request: HoldRequest): Promise<HoldReply>
}

/** A stretch of time, Unix milliseconds: `start` belongs to it, `end` does not. */
export interface CountingWindow {
  readonly start: number
  readonly end: number
}

/** In this order: what goes back and what is owed is counted, then is taken from what the limit leaves. */
export interface StoreExchange {
  readonly counter: string
  readonly window: CountingWindow
  readonly limit: number
  /** Units that were taken and not used. */
  readonly returned: number
  /** Units that were used without having been taken (a provider used more than was reserved): counted whatever the limit. */
  readonly owed: number
  /** Units to take: all of `atLeast` or nothing, and up to `wanted` as long as much is left for others. 0 and 0: none. */
  readonly atLeast: number
  readonly wanted: number
  /** By how much the units that this process holds unused have changed since it last said so, without what is taken now. */
  readonly leased: number
}

export interface StoreExchangeReply {
  readonly taken: number
  /** What is left for everybody after this; below 0 where more was used than reserved. */
  readonly remaining: number
  /** What all processes together hold unused, as far as they have said. */
  readonly leased: number
  /** Somebody was refused a moment ago, and waits for what others hold unused. */
  readonly contended: boolean
}

/** `keep` ≤ `atLeast` ≤ `slots`. */
export interface HoldRequest {
  readonly counter: string
  /** Names the process. */
  readonly holder: string
  readonly limit: number
  /** What the holder goes on counting on, whatever the answer. */
  readonly keep: number
  /** What it needs. */
  readonly atLeast: number
  /** What it would like, as long as much is left for others. 0: it holds none any more. */
  readonly slots: number
  /** Milliseconds from now after which its slots are others', by the store's clock. */
  readonly ttl: number
  /** Goes up with each request of the holder for this counter: one that comes late changes nothing. */
  readonly sequence: number
}

export interface HoldReply {
  /** Slots that it holds from now on; fewer than `atLeast`: others hold too many. */
  readonly held: number
  /** What all others hold. */
  readonly others: number
  readonly contended: boolean
}

/** The window that a process counts in is long past for the store: the process's clock is behind by more than a minute. */
export class WindowExpired extends Error {
  constructor(window: CountingWindow) {
    super(
      `the window that ended at ${new Date(window.end).toISOString()} is over: this machine's clock and the quota store's differ too much`,
    )
    this.name = 'WindowOver'
  }
}
