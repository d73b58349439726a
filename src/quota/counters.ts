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
export interface Refusal {
  readonly refused: Counter
  /** Milliseconds until it may be worth another try. */
  readonly retryAfter: number
  /** Even an empty window would be too small for this demand. */
  readonly never: boolean
}

/** What is left, as far as this process knows without asking. */
export interface Standing {
  readonly limit: number
  readonly remaining: number
  /** Milliseconds to the end of the window. */
  readonly reset: number
}

/** Counts against limits that several processes share. Never above the limit, in no order of events. */
export interface Limiter extends AsyncDisposable {
  /** Takes all demands or none. No promise where leases at hand suffice. Throws ApiError 503 when the store is out of reach and the limiter fails closed. */
  reserve(demands: readonly Demand[]): Reservation | Refusal | Promise<Reservation | Refusal>
  standing(counter: Counter): Standing
}

/** Where counts are shared. Every method is atomic. */
export interface QuotaStore extends AsyncDisposable {
  /** Takes between `atLeast` and `wanted` units of the window, as far as the limit leaves them; 0 when not even `atLeast` are left. */
  take(request: TakeRequest): Promise<TakeAnswer>
  /** Gives units back to the window they were taken from; does nothing once that is over. */
  giveBack(counter: string, window: Window, amount: number): Promise<void>
  /** Sets how many slots `holder` holds of a counter, until `until`, unless all holders together would hold more than `limit`. Tells how many it may hold. */
  hold(request: HoldRequest): Promise<number>
}

export interface Window {
  /** Unix milliseconds. */
  readonly start: number
  readonly end: number
}

export interface TakeRequest {
  readonly counter: string
  readonly window: Window
  readonly limit: number
  readonly atLeast: number
  readonly wanted: number
}

export interface TakeAnswer {
  readonly taken: number
  /** What is left for others, after this. */
  readonly remaining: number
}

export interface HoldRequest {
  readonly counter: string
  readonly holder: string
  readonly limit: number
  readonly slots: number
  /** Unix milliseconds. */
  readonly until: number
}
