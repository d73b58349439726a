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
  /** The caller's address as configured trusted proxies tell it: whose share of the look-ups it is. Absent: `peerAddress`. */
  readonly clientAddress?: string | undefined
  /** Read only where the answer has to be waited for. */
  readonly signal: AbortSignal
}

/**
 * One way to tell who is asking. `authenticate` gives the principal; undefined: not a credential of this kind, ask the next in the chain.
 * Throws ApiError 401 (of this kind, and bad), 503 with Retry-After (whoever would know is down).
 */
export interface Authenticator extends Partial<AsyncDisposable> {
  /** Its type in the configuration, e.g. `oauth2_token`. */
  readonly type: string
  /** What to tell a caller that shows nothing. */
  readonly missingCredentialMessage: string
  authenticate(attempt: AuthenticationRequest): Promise<Principal | undefined> | Principal | undefined
}

/** The chain of a configuration, with its cache. */
export interface Authentication extends AsyncDisposable {
  /** Throws ApiError: 400 (two credentials that differ), 401 with WWW-Authenticate, 503 with Retry-After. Not a promise when the answer is at hand. */
  authenticate(attempt: Omit<AuthenticationRequest, 'credential'>): Promise<Principal> | Principal
}
