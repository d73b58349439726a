import { ApiError, unavailable } from '../errors.ts'

/** RFC 6750 §3: the parameters of the challenge. */
export interface Challenge {
  readonly error?: 'invalid_request' | 'invalid_token'
  /** For people; a constant of ours, never anything that was sent. */
  readonly description?: string
}

export function challengeHeader({ error, description }: Challenge = {}): string {
  return `Bearer realm="corral"${error ? `, error="${error}"` : ''}${description ? `, error_description="${description}"` : ''}`
}

export interface RefusalDetail {
  /** What the log and the audit log say, without anything that was sent. */
  readonly reason: string
  /** `error_description` of the challenge. */
  readonly description?: string
  readonly code?: string
  /**
   * False: it may be of another kind, so the next authenticator is tried. Default true: it is of this kind, and invalid.
   */
  readonly final?: boolean
  /** Until when it is pointless to ask again, in milliseconds of the epoch; absent: the negative TTL says. */
  readonly until?: number
}

/** 401: a credential was shown, and it is not good. */
export class CredentialRefused extends ApiError {
  readonly final: boolean
  readonly until: number | undefined

  constructor(message: string, { reason, description, code = 'invalid_credential', final = true, until }: RefusalDetail) {
    super('authentication_error', message, {
      code,
      headers: { 'www-authenticate': challengeHeader({ error: 'invalid_token', ...(description && { description }) }) },
      denial: { by: 'authentication', reason },
    })
    this.final = final
    this.until = until
  }
}

/** 401: nothing was shown. */
export function missingCredential(message: string): ApiError {
  return new ApiError('authentication_error', message, {
    code: 'missing_credential',
    headers: { 'www-authenticate': challengeHeader() },
    denial: { by: 'authentication', reason: 'no credential' },
  })
}

/** Seconds that callers are asked to wait where an identity service does not say itself. */
const defaultRetryAfter = 5

/** 503: who would know is out of reach. `cause` must hold no credential. */
export function serviceUnavailable(cause: unknown, retryAfter = defaultRetryAfter): ApiError {
  return unavailable('Authentication service unavailable', retryAfter, { cause })
}

export function serviceTimeout(cause: unknown): ApiError {
  return unavailable('Authentication service timeout', defaultRetryAfter, { cause })
}
