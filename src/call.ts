/** Who is asking. */
export interface Principal {
  /** The stable name of the user, key or service. */
  readonly id: string
  /** Attribute → values, as policies see them (`roles`, `teams`, `projects`, `namespaces` …). */
  readonly attributes: Readonly<Record<string, readonly string[]>>
}

/** The caller's own provider credentials and settings (`X-LlamaStack-Provider-Data`, `X-OGX-Provider-Data`): JSON, unchecked. */
export type ProviderData = Readonly<Record<string, unknown>>

/**
 * What becomes known of a request on its way, for its line in the log (and its metrics): filled by whoever learns it, read once it is over.
 * All of it may stay absent.
 */
export interface RequestNotes {
  /** The route's path as it was defined, e.g. `/v1/models/{model_id}`; set by the mount. */
  route?: string
  /** The model as the caller named it. */
  model?: string
  /** The id of the provider that served it. */
  provider?: string
  inputTokens?: number
  outputTokens?: number
  /** `performance.now()` at the first token. */
  firstTokenAt?: number
  /** What failed after the head of the answer was on its way: the caller got it as an event. */
  failure?: unknown
  /** Set by whoever answers with a stream that outlives the handler: the request is over when `over` is called, not when its head is sent. */
  streaming?: boolean
  /** Set by the server; to be called once by whoever set `streaming`, however the stream ended. Further calls do nothing. */
  over?(): void
}

/** One request on its way through the server: what every service and provider gets, passed as an argument, never ambient. */
export interface Call {
  /** The caller's `x-request-id` where well-formed, else our own. */
  readonly requestId: string
  /** Aborts when the caller leaves, the deadline passes or the server stops waiting. Goes to everything that waits. */
  readonly signal: AbortSignal
  /** Absent when no authentication is configured. */
  readonly principal?: Principal | undefined
  /** Empty when the caller sent none. */
  readonly providerData: ProviderData
  /** Absent for work that no request asked for. */
  readonly notes?: RequestNotes | undefined
}

/** The call under which the server's own work (listing models, health checks) runs. */
export function systemCall(requestId: string, signal: AbortSignal): Call {
  return { requestId, signal, principal: { id: 'system', attributes: {} }, providerData: {} }
}
