import type { Call, Limit, Principal } from '../../call.ts'
import type { Secret } from '../../secret.ts'
import type { Page, PageRequest } from '../../storage/pages.ts'

/** One of Corral's own keys, as it may be shown: neither its secret nor the hash. */
export interface ApiKey {
  /** `key_…` */
  readonly id: string
  readonly name: string
  /** The first and last characters of the token. */
  readonly hint: string
  /** Unix milliseconds, as are all times here. */
  readonly createdAt: number
  /** Who made it, or, for one made on the command line, whom it acts for. */
  readonly owner: string | undefined
  /** Whom it acts for. */
  readonly principal: string
  readonly attributes: Principal['attributes']
  /** Undefined: every model. */
  readonly allowedModels: readonly string[] | undefined
  /** Undefined: every API. */
  readonly allowedApis: readonly string[] | undefined
  readonly limits: readonly Limit[]
  readonly expiresAt: number | undefined
  readonly revokedAt: number | undefined
  /** Until when the token before the last rotation works as well. */
  readonly previousValidUntil: number | undefined
}

/** What a new key is to be. */
export interface CreateApiKeyInput {
  readonly name: string
  /** Default: the caller. */
  readonly principal?: string | undefined
  /** Default: the caller's own where the key acts for the caller, else none. */
  readonly attributes?: Principal['attributes'] | undefined
  readonly allowedModels?: readonly string[] | undefined
  readonly allowedApis?: readonly string[] | undefined
  readonly limits?: readonly Limit[] | undefined
  /** Absent: it never expires. */
  readonly expiresAt?: number | undefined
}

/** The one time that a token is shown. */
export interface IssuedKey {
  readonly key: ApiKey
  readonly token: Secret
}

/**
 * Corral's own keys. Every method asks the policy about the caller; what the caller may not see is not there (404). What changes a key
 * needs a rule of the configured policy that permits it (403). Throws ApiError, 503 while the database is out of reach.
 */
export interface KeyService {
  create(call: Call, input: CreateApiKeyInput): Promise<IssuedKey>
  list(call: Call, request: PageRequest): Promise<Page<ApiKey & { readonly cursor: string }>>
  get(call: Call, id: string): Promise<ApiKey>
  /** A new token for the same key. `grace`: milliseconds for which the old one works on; default 0. */
  rotate(call: Call, id: string, options?: { readonly grace?: number | undefined }): Promise<IssuedKey>
  /** From now on it is refused, here at once, on other replicas within a second. Of a revoked key: nothing more happens. */
  revoke(call: Call, id: string): Promise<ApiKey>
}
