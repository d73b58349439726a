import type { Period } from '../call.ts'

/** What is counted against one limit, for one subject, in one unit. Plain data: made once for each subject, not for each request. */
export interface Counter {
  /** A hash of limit, subject and unit; never a credential. */
  readonly id: string
  /** `requests`, tokens, or billionths of a US dollar (`nano_dollars`); `slots`: requests in flight, which are returned. */
  readonly unit: 'requests' | 'input_tokens' | 'output_tokens' | 'total_tokens' | 'nano_dollars' | 'slots'
  /** Whole units in one window; for slots: at a time. */
  readonly limit: number
  readonly period: Period
  /** For messages: the limit’s name and amount. */
  readonly label: string
  /** For metrics: the configured limit’s name, or its amount. Absent for limits of keys, which are not configured. */
  readonly limitName?: string | undefined
}

/** The worst case of one request for one counter. */
export interface Demand {
  readonly counter: Counter
  readonly amount: number
}

/** All demands, taken. Settled once; what a process holds when it dies stays taken until the window ends. */
export interface Reservation {
  /** The real use of each demand, in their order. The rest is returned, an excess is taken afterwards, slots are freed. */
  settle(used: readonly number[]): void
}

/** Why a reservation was refused: the first counter with too little. */
export interface QuotaRefusal {
  readonly refused: Counter
  /** Milliseconds until a retry may succeed. */
  readonly retryAfter: number
  /** Whether the demand exceeds the limit of an unused window. */
  readonly exceedsLimit: boolean
}

/** The remaining units known to this process. */
export interface CounterStatus {
  readonly limit: number
  readonly remaining: number
  /** Milliseconds to the end of the window; 0 for slots. */
  readonly reset: number
}

/** A counter with its state in the limiter: can be used in place of the Counter, without a look-up. */
export interface CounterHandle extends Counter {
  status(): CounterStatus
}

/** Counts against limits that several processes share. Never exceeds a limit, in any order of events. */
export interface Limiter extends AsyncDisposable {
  /**
   * Takes all demands or none. Synchronous where held leases suffice, or too little is known to be left. Throws ApiError 503 when the store is
   * unavailable and the limiter fails closed; RangeError for an amount that is not a non-negative integer. `request`: the same object for everything
   * that one request reserves, so that one that is admitted uncounted is counted once.
   */
  reserve(demands: readonly Demand[], request?: object): Reservation | QuotaRefusal | Promise<Reservation | QuotaRefusal>
  /** The same handle for the same id, while it is in use. */
  counter(counter: Counter): CounterHandle
  status(counter: Counter): CounterStatus
  /** Every counter that is in use in this process, with its status. */
  each?(visit: (counter: Counter, status: CounterStatus) => void): void
}

/** Where processes share counts. Every method is atomic. */
export interface QuotaStore extends AsyncDisposable {
  /** Whether other processes count here. If not, everything that is left is taken in one exchange and never needs to return. */
  readonly shared: boolean
  /** Returns, reports and takes units of one window. Rejects with WindowExpired if the window ended long ago by the store’s own clock. */
  exchange(request: StoreExchange): Promise<StoreExchangeReply>
  /** Sets the number of slots that a process holds, unless all together would exceed the limit. */
  hold(request: HoldRequest): Promise<HoldReply>
}

/** A period of time in Unix milliseconds, `end` exclusive. */
export interface CountingWindow {
  readonly start: number
  readonly end: number
}

/** In this order: returned and owed units are counted, then units are taken from what the limit leaves. */
export interface StoreExchange {
  readonly counter: string
  readonly window: CountingWindow
  readonly limit: number
  /** Units taken and not used. */
  readonly returned: number
  /** Units used without having been taken (a provider used more than was reserved): counted regardless of the limit. */
  readonly owed: number
  /** Units to take: `atLeast` or none, and up to `wanted` while enough is left for other processes. 0 and 0: none. */
  readonly atLeast: number
  readonly wanted: number
  /** Change of the units that this process holds unused since its last exchange, without those that are taken now. */
  readonly leased: number
}

export interface StoreExchangeReply {
  readonly taken: number
  /** What is left after this; negative if more was used than reserved. */
  readonly remaining: number
  /** Units that all processes hold unused, as last reported. */
  readonly leased: number
  /** A process was refused recently and waits for units that others hold unused. */
  readonly contended: boolean
}

/** `keep` ≤ `atLeast` ≤ `slots`. */
export interface HoldRequest {
  readonly counter: string
  /** The id of the process. */
  readonly holder: string
  readonly limit: number
  /** Slots that the holder relies on, whatever the reply. */
  readonly keep: number
  /** Slots that it needs. */
  readonly atLeast: number
  /** Slots that it requests, while enough are left for other processes. 0: it no longer holds any. */
  readonly slots: number
  /** Milliseconds after which the hold ends, by the store’s clock. */
  readonly ttl: number
  /** Rises with each request of the holder for this counter: a late one is ignored. */
  readonly sequence: number
}

export interface HoldReply {
  /** Slots that it holds now; fewer than `atLeast`: other processes hold too many. */
  readonly held: number
  /** Slots that other processes hold. */
  readonly others: number
  readonly contended: boolean
}

/** The window ended long ago by the store’s clock: the clock of the process is behind. */
export class WindowExpired extends Error {
  constructor(window: CountingWindow) {
    super(
      `the window that ended at ${new Date(window.end).toISOString()} is over: this machine's clock and the quota store's differ too much`,
    )
    this.name = 'WindowExpired'
  }
}
