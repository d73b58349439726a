import type { FailureClass } from './errors.ts'

/** The authenticated user or service. */
export interface Principal {
  /** The stable name of the user or service; for an API key of Corral, of its owner. */
  readonly id: string
  /** Attribute → values, as policies see them (`roles`, `teams`, `projects`, `namespaces`, `scopes` …). */
  readonly attributes: Readonly<Record<string, readonly string[]>>
  /** The authenticator that accepted it, by its type in the configuration, e.g. `oauth2_token`, `api_key`. */
  readonly authenticator?: string | undefined
  /** Set for API keys of Corral: what the key narrows. */
  readonly key?: KeyGrant | undefined
}

/** What an API key of Corral allows; it only narrows what the policies permit. */
export interface KeyGrant {
  /** Public: names the key in logs, lists and the ledger, e.g. `key_1b2c…`. */
  readonly id: string
  /** Patterns of the catalogue's model ids, `*` matching any characters; absent: every model. */
  readonly allowedModels?: readonly string[] | undefined
  /** Names of APIs as routes have them (`inference`, `models` …); absent: every API. */
  readonly allowedApis?: readonly string[] | undefined
  readonly limits: readonly Limit[]
}

/** The stretches of time that limits count in; UTC, weeks from Monday. */
export const periods = ['second', 'minute', 'hour', 'day', 'week', 'month'] as const
export type Period = (typeof periods)[number]

/** How much of something may be used in a period. What is absent is not limited. */
export interface Limit {
  /** Shown to callers that are refused. */
  readonly name?: string | undefined
  readonly period: Period
  readonly requests?: number | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly totalTokens?: number | undefined
  /** US dollars. */
  readonly dollars?: number | undefined
  /** At the same time; independent of the period. */
  readonly concurrentRequests?: number | undefined
}

/** The principal of the server's own work. Compared by identity: a caller of the same name is another principal. */
export const systemPrincipal: Principal = Object.freeze({ id: 'system', attributes: Object.freeze({}) })

/** The caller's own provider credentials and settings (`X-LlamaStack-Provider-Data`, `X-OGX-Provider-Data`): JSON, unchecked. */
export type ProviderData = Readonly<Record<string, unknown>>

/** Facts of one attempt: one call of one model of one provider. Set by the part that runs it, as they become known. */
export interface AttemptFacts {
  /** The provider's id. */
  readonly provider: string
  /** The provider's own id of the model. */
  readonly model: string
  inputTokens?: number | undefined
  outputTokens?: number | undefined
  /** Billionths of a US dollar, once priced. */
  costNanoDollars?: number | undefined
  /** `performance.now()` at the first token. */
  firstTokenAt?: number | undefined
  /** Set where it failed. */
  failure?: FailureClass | undefined
}

/**
 * Facts of a request, for its log line, metrics and spans: set by the parts that know them, read once it is complete. All of them can stay
 * absent.
 */
export interface RequestRecord {
  /** The route's path as it was defined, e.g. `/v1/models/{model_id}`; set by the mount. */
  route?: string
  /** What the route asks of a model; absent for routes that ask none. */
  readonly operation?: { readonly name: string; readonly genAiName: string } | undefined
  /** The model as the caller named it. */
  model?: string
  /** The attempt whose reply the caller gets, or the last one where all failed. Absent where no provider was called. */
  attempt?: AttemptFacts | undefined
  /** Of the body, decompressed; absent where none was read. */
  requestBytes?: number | undefined
  /** Of a model's response, or of its frames in a stream without heartbeats and errors; absent for other responses. */
  responseBytes?: number | undefined
  /** What failed after the head of the response was sent: the caller got it as an event. */
  failure?: unknown
  /** The JSON of the body, of a request that failed. */
  failedBody?: unknown
  /** Names and values in turn; set on the response unless its head was sent. */
  readonly responseHeaders?: string[]
  /** Set where the response is a stream that outlives the handler: the request is complete when `complete` is called, not when its head is sent. */
  streaming?: boolean
  /** The caller does not read: its connection is closed without waiting until it does. */
  closesConnection?: boolean
  /** Set by the server. Called once by the part that set `streaming`, however the stream ended. Further calls do nothing. */
  complete?(): void
}

/** The place of a request in a trace: ids alone; spans are made at its end. */
export interface CallTrace {
  /** 32 hexadecimal digits: the caller's, where it sent a well-formed `traceparent`. */
  readonly traceId: string
  /** 16 hexadecimal digits: the request's own span. */
  readonly spanId: string
  /** The caller's span. */
  readonly parentSpanId?: string | undefined
  /** Whether it goes to exporters. Failed and slow requests are written down on this machine all the same. */
  readonly sampled: boolean
  /** The caller's `tracestate`, well-formed. */
  readonly state?: string | undefined
  /** The caller's `baggage`, well-formed; only where it is configured to be passed on. */
  readonly baggage?: string | undefined
  /** Whether prompts and completions are wanted of it. */
  readonly capturesContent?: boolean
  /** Makes the id of a further span of this trace. */
  readonly newSpanId: () => string
}

/**
 * As much of an AbortSignal as listening for an abort needs. Every AbortSignal is one. Each listener is called once, one after the other, and must not
 * throw: those after it would not be called.
 */
export interface AbortListenable {
  readonly aborted: boolean
  readonly reason: unknown
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: AbortListener, options?: { once: true }): void
  removeEventListener(type: 'abort', listener: AbortListener): void
}

export type AbortListener = (() => void) | { handleEvent(): void }

/** One request on its way through the server: what every service and provider gets, passed as an argument, never ambient. */
export interface Call {
  /** The caller's `x-request-id` where well-formed, else our own. */
  readonly requestId: string
  /** Aborts when the caller disconnects, the deadline passes or the server aborts. Passed to everything that waits. */
  readonly signal: AbortSignal
  /**
   * The same, at a fraction of the cost of a signal, for code that runs in every request and only listens. It takes precedence over `signal`: code that
   * replaces `signal` replaces this as well, by another or by `undefined`.
   */
  readonly abortListenable?: AbortListenable | undefined
  /** Absent when no authentication is configured. */
  readonly principal?: Principal | undefined
  /** The caller's IP address: the connection's, or the one that trusted proxies report. Absent where there is no connection. */
  readonly clientAddress?: string | undefined
  /** Empty when the caller sent none. */
  readonly providerData: ProviderData
  /** Absent for the server's own work. */
  readonly trace?: CallTrace | undefined
  /** Absent for the server's own work. */
  readonly record?: RequestRecord | undefined
}

/** The call under which the server's own work (listing models, health checks) runs. */
export function systemCall(requestId: string, signal: AbortSignal): Call {
  return { requestId, signal, principal: systemPrincipal, providerData: {} }
}
