import type { Call } from '../call.ts'
import type { Operation } from '../operations/operation.ts'
import type { WireFormat } from '../operations/wire-format.ts'
import type { Counter, CounterStatus } from './counters.ts'

/** What is known of an answer of a model before it is asked for. */
export interface InferenceFacts {
  readonly call: Call
  readonly provider: string
  /** The catalogue's id, which prices and limits go by; absent: the upstream's. */
  readonly model: string
  readonly upstreamModel: string
  /** As the caller spelt it. */
  readonly requestedModel?: string | undefined
  /** Models that may answer in place of it, and the fields that name them. */
  readonly fallbacks?: readonly { readonly field: string; readonly model: string; readonly upstreamModel: string }[] | undefined
  readonly operation: Operation
  /** Of the request. */
  readonly format: WireFormat
  /** The request's body as parsed. */
  readonly body: unknown
  readonly bytes: number
}

/** How many tokens an answer took. `estimated`: counted or guessed by us. */
export interface TokensUsed {
  readonly input: number
  readonly output: number
  /** Parts of `input`: read from a cache, written to one, spoken. */
  readonly cachedInput?: number | undefined
  readonly cacheWrite?: number | undefined
  readonly inputAudio?: number | undefined
  /** Parts of `output`. */
  readonly reasoning?: number | undefined
  readonly outputAudio?: number | undefined
  readonly estimated?: boolean | undefined
  /** What the provider itself says that it charges, in US dollars. */
  readonly reportedDollars?: number | undefined
}

/** How one answer ended, for its limits and its line in the ledger. */
export interface InferenceEnd {
  readonly outcome: 'completed' | 'failed' | 'cancelled' | 'truncated'
  /** Undefined: nothing was used, or nobody knows; then what came is counted. */
  readonly usage: TokensUsed | undefined
  /** Output tokens that came, as far as they could be counted without being told. */
  readonly received?: number | undefined
}

/** A running answer that holds its worst case of every limit. */
export interface AdmittedInference {
  /** To be called once; writes tokens and cost into the call's notes. */
  settle(end: InferenceEnd): void
}

/** All that limits what callers use. */
export interface Governance extends AsyncDisposable {
  /**
   * Counts one request (`server.quota`, and limits on requests and concurrency that no model matters to), before its route runs.
   * Pushes `x-ratelimit-*` onto `headers` (names and values in turn). Throws ApiError 429, 503.
   */
  admitRequest(call: Call, headers: string[]): AdmittedRequest | undefined | Promise<AdmittedRequest | undefined>
  /** Reserves what an answer may take at worst. Throws ApiError 429, 503. */
  admitInference(
    facts: InferenceFacts,
    headers: string[] | undefined,
  ): AdmittedInference | undefined | Promise<AdmittedInference | undefined>
  /** Every counter that is in use in this process, with what is left of it. */
  eachCounter?(visit: (counter: Counter, status: CounterStatus) => void): void
  /** Lines that did not get into the ledger since the start. */
  readonly lostEntries?: number | undefined
}

/** A running request that was counted. */
export interface AdmittedRequest {
  /** To be called once. `taken`: false where the request was refused or this server failed it, so that it does not count. */
  settle(taken: boolean): void
}
