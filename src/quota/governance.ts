import type { Call } from '../call.ts'
import type { Operation } from '../operations/operation.ts'
import type { WireFormat } from '../operations/wire-format.ts'
import type { Counter, CounterStatus } from './counters.ts'

/** What is known of an inference before it is sent. */
export interface InferenceFacts {
  readonly call: Call
  readonly provider: string
  /** The catalogue’s id, by which prices and limits are found; without one `provider/upstreamModel`. */
  readonly model: string
  readonly upstreamModel: string
  /** As the caller named it. */
  readonly requestedModel?: string | undefined
  /** Models that may respond in its place, and the fields that name them. */
  readonly fallbacks?: readonly { readonly field: string; readonly model: string; readonly upstreamModel: string }[] | undefined
  readonly operation: Operation
  /** Of the request. */
  readonly format: WireFormat
  /** As parsed. */
  readonly body: unknown
  readonly bytes: number
}

/** Tokens used. `estimated`: counted or estimated by Corral. */
export interface TokensUsed {
  readonly input: number
  readonly output: number
  /** Parts of `input`. */
  readonly cachedInput?: number | undefined
  readonly cacheWrite?: number | undefined
  readonly inputAudio?: number | undefined
  /** Parts of `output`. */
  readonly reasoning?: number | undefined
  readonly outputAudio?: number | undefined
  readonly estimated?: boolean | undefined
  /** The cost that the provider reports, in US dollars. */
  readonly reportedDollars?: number | undefined
}

/** The end of an inference, for its limits and its ledger entry. */
export interface InferenceEnd {
  readonly outcome: 'completed' | 'failed' | 'cancelled' | 'truncated'
  /** Undefined: nothing was used, or nothing was reported: then `received` counts. */
  readonly usage: TokensUsed | undefined
  /** Output tokens received, as counted by Corral. */
  readonly received?: number | undefined
}

/** A running inference that holds its worst case of every limit. */
export interface AdmittedInference {
  /** Called once. Sets tokens and cost of the call’s attempt. */
  settle(end: InferenceEnd): void
}

/** The limits, prices and ledger of a server. */
export interface Governance extends AsyncDisposable {
  /**
   * Counts one request (`server.quota`, and limits on requests and concurrency that no model matters to), before its route runs.
   * Pushes `x-ratelimit-*` onto `headers` (names and values in turn). Throws ApiError 429, 503.
   */
  admitRequest(call: Call, headers: string[]): AdmittedRequest | undefined | Promise<AdmittedRequest | undefined>
  /** Reserves the worst case of an inference. Throws ApiError 429, 503. */
  admitInference(
    facts: InferenceFacts,
    headers: string[] | undefined,
  ): AdmittedInference | undefined | Promise<AdmittedInference | undefined>
  /** Every counter that is in use in this process, with its status. */
  eachCounter?(visit: (counter: Counter, status: CounterStatus) => void): void
  /** Ledger entries lost since the start. */
  readonly lostEntries?: number | undefined
}

/** A running request that was counted. */
export interface AdmittedRequest {
  /** Called once. `taken`: false where the request was refused or failed here, so that it does not count. */
  settle(taken: boolean): void
}
