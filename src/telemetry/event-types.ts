import type { Call, RequestRecord } from '../call.ts'
import type { Operation } from '../operations/operation.ts'
import type { WireFormat } from '../operations/wire-format.ts'

/** A request that has ended: completed, or its client disconnected. */
export interface RequestFinished extends Pick<Call, 'requestId' | 'principal' | 'clientAddress' | 'trace'>, RequestRecord {
  readonly request: Pick<Request, 'method'> & Partial<Pick<Request, 'url' | 'headers'>>
  /** Without the query: queries carry keys. */
  readonly path: string
  readonly status: number
  /** `performance.now()` when it came in. */
  readonly startedAt: number
  /** What the caller got an error for: an ApiError, or the unknown thing that was thrown. */
  readonly error?: unknown
  /** The caller left before the end. */
  readonly disconnected?: boolean
}

/** `truncated`: the upstream broke a stream off. `cancelled`: the caller left. */
export type InferenceOutcome = 'completed' | 'failed' | 'cancelled' | 'truncated'

/** One inference, complete or streamed. */
export interface InferenceFinished {
  call: Call
  provider: string
  model: string
  operation: Operation
  /** Of request and reply. */
  format: WireFormat
  streamed: boolean
  outcome: InferenceOutcome
  /** Milliseconds from the request to the end of the response. */
  duration: number
  /** Milliseconds to the first token, where one came. */
  firstToken?: number | undefined
  usage?: ReportedTokens | undefined
  error?: unknown
  /** `gen_ai.provider.name`. Default: the provider's id. */
  providerName?: string | undefined
  /** The configured address of the provider. Absent where the caller names it, or there is no host. */
  endpoint?: ProviderEndpoint | undefined
  /** Fields that Corral had added and that the provider refused: the request was sent again without them. */
  resentWithout?: readonly string[] | undefined
  /** `performance.now()` when the request was sent. */
  startedAt?: number | undefined
  /** The id of its span, 16 hexadecimal digits, as sent to the provider. */
  spanId?: string | undefined
  /** The request as it was validated. */
  requestBody?: unknown
  /** Facts of a stream, or the provider’s JSON as received. */
  reply?: StreamReplyFacts | Uint8Array | undefined
  /** What a stream said, where that is wanted. */
  streamedContent?: { frames(): string } | undefined
}

/** Tokens as the provider reported them; the parts are parts of `input` and `output`. */
export interface ReportedTokens {
  readonly input: number
  readonly output: number
  readonly cached?: number
  readonly cacheWrite?: number
  readonly reasoning?: number
}

interface ProviderEndpoint {
  readonly address: string
  readonly port: number
}

interface StreamReplyFacts {
  readonly id?: string | undefined
  /** The model that responded, as the provider names it. */
  readonly model?: string | undefined
  /** In the order of the choices. */
  readonly finishReasons?: readonly string[] | undefined
}

/** What counts and measures what happened. Its methods never throw and never wait. */
export interface MetricSink {
  /** A request has come in; for each of them `requestFinished` follows once. */
  requestStarted?(): void
  requestFinished(event: RequestFinished): void
  inferenceFinished(event: InferenceFinished): void
  /** Once per outage. */
  dependencyFailed?(dependency: string): void
  dependencyRecovered?(dependency: string): void
  /** A provider could not be reached, or replied with an error, outside of a caller’s request. */
  upstreamFailed?(provider: string): void
  listingFailed?(provider: string): void
  listed?(provider: string, models: number): void
  /** Spans or log lines were dropped: a full queue, an unavailable exporter. */
  telemetryDropped?(what: 'spans' | 'metrics' | 'logs', count: number): void
}

/** What makes spans of what happened. Its methods never throw and never wait. */
export interface SpanSink {
  /** Ends the trace of a request, unless the sampling drops it. */
  requestFinished(event: RequestFinished): void
  inferenceFinished(event: InferenceFinished): void
}
