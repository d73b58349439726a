import type { Principal } from '../call.ts'

/** What a caller showed, out of whichever header. */
export interface Credential {
  /** The header's name in lower case. */
  readonly header: 'authorization' | 'x-api-key' | 'x-goog-api-key'
  readonly token: string
}

/** The request as authenticators see it. */
export interface AuthenticationRequest {
  readonly request: Request
  /** Absent when no header carries one. */
  readonly credential: Credential | undefined
  /** The connection's own address, whatever headers say. */
  readonly peerAddress: string | undefined
  /** The client's address as reported by trusted proxies, for the limits of look-ups. Absent: `peerAddress`. */
  readonly clientAddress?: string | undefined
  /** Read only by authenticators that wait. */
  readonly signal: AbortSignal
}

/**
 * One way to authenticate. `authenticate` gives the principal; undefined: not a credential of this kind, ask the next in the chain.
 * Throws ApiError 401 (of this kind, and bad), 503 with Retry-After (the identity service is unavailable).
 */
export interface Authenticator extends Partial<AsyncDisposable> {
  /** Its type in the configuration, e.g. `oauth2_token`. */
  readonly type: string
  /** The message for a request without a credential. */
  readonly missingCredentialMessage: string
  authenticate(attempt: AuthenticationRequest): Promise<Principal | undefined> | Principal | undefined
}

/** The chain of a configuration, with its cache. */
export interface Authentication extends AsyncDisposable {
  /** Throws ApiError: 400 (two credentials that differ), 401 with WWW-Authenticate, 503 with Retry-After. Synchronous when the result is cached. */
  authenticate(attempt: Omit<AuthenticationRequest, 'credential'>): Promise<Principal> | Principal
}
