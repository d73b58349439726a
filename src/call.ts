/** Who is asking. */
export interface Principal {
  /** The stable name of the user, key or service. */
  readonly id: string
  /** Attribute → values, as policies see them (`roles`, `teams`, `projects`, `namespaces` …). */
  readonly attributes: Readonly<Record<string, readonly string[]>>
}

/** The caller's own provider credentials and settings (`X-LlamaStack-Provider-Data`, `X-OGX-Provider-Data`): JSON, unchecked. */
export type ProviderData = Readonly<Record<string, unknown>>

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
}

/** The call under which the server's own work (listing models, health checks) runs. */
export function systemCall(requestId: string, signal: AbortSignal): Call {
  return { requestId, signal, principal: { id: 'system', attributes: {} }, providerData: {} }
}
