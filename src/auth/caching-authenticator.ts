import { hash } from 'node:crypto'
import type { Principal } from '../call.ts'
import { ApiError } from '../errors.ts'
import type { AuthenticationRequest, Authenticator, Credential } from './authenticator.ts'
import { VerdictCache } from './verdict-cache.ts'
import type { CacheConfig } from './config.ts'
import type { LookupLimiter } from './lookup-limiter.ts'
import { CredentialRefused } from './refusal.ts'

/** Whom a credential belongs to, and until when that may be believed (milliseconds of the epoch; absent: the TTL says). */
export interface Identity {
  readonly principal: Principal
  readonly until?: number | undefined
}

/** A slow way to find the principal of a credential, whose results are cached by the caller. */
export interface CredentialLookup {
  readonly type: string
  readonly missingCredentialMessage: string
  /** What a cached result depends on besides the credential: issuer and audience. */
  readonly scope: readonly unknown[]
  /** Throws CredentialRefused (not final) where the form alone says that it is not of this kind; nothing is remembered then. */
  precheck?(token: string): void
  /** What else of the request the verdict depends on. */
  varyBy?(request: Request): string
  /** Throws CredentialRefused, ApiError 503. Works for all who show the same credential at the same time: no one's leaving ends it. */
  find(credential: Credential, request: Request): Promise<Identity>
}

interface CachingAuthenticatorOptions {
  readonly cache: CacheConfig
  /** Absent: no service is called for each credential. */
  readonly limiter?: LookupLimiter | undefined
  readonly now: () => number
}

/** Milliseconds that a failure of the identity service is remembered, for the one credential that met it. */
const failureTtl = 1_000

/**
 * An authenticator that remembers. By SHA-256 of the whole credential with the issuer and the audience, never of a part of it (CVE-2026-35030).
 * Good and bad verdicts are kept apart, so that a flood of bad credentials pushes no good one out. Those who show the same credential at
 * the same time share one look-up.
 */
export class CachingAuthenticator implements Authenticator {
  readonly type: string
  readonly missingCredentialMessage: string
  readonly #lookup: CredentialLookup
  readonly #options: CachingAuthenticatorOptions
  readonly #salt: string
  readonly #principals: VerdictCache<Principal>
  readonly #refusals: VerdictCache<ApiError>
  readonly #running = new Map<string, Promise<Principal>>()

  constructor(lookup: CredentialLookup, options: CachingAuthenticatorOptions) {
    this.type = lookup.type
    this.missingCredentialMessage = lookup.missingCredentialMessage
    this.#lookup = lookup
    this.#options = options
    this.#salt = `${JSON.stringify([lookup.type, ...lookup.scope])}\n`
    this.#principals = new VerdictCache(options.cache.maxEntries, options.now)
    this.#refusals = new VerdictCache(options.cache.maxEntries, options.now)
  }

  authenticate(attempt: AuthenticationRequest): Promise<Principal> | Principal | undefined {
    const { credential, request } = attempt
    if (!credential) return undefined
    const vary = this.#lookup.varyBy?.(request)
    const digest = hash('sha256', `${this.#salt}${vary === undefined ? '' : `${JSON.stringify(vary)}\n`}${credential.token}`, 'base64')
    const principal = this.#principals.get(digest)
    if (principal) return principal
    const refusal = this.#refusals.get(digest)
    if (refusal) throw refusal
    this.#lookup.precheck?.(credential.token)
    return waitFor(this.#running.get(digest) ?? this.#start(digest, credential, attempt), attempt.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#principals.clear()
    this.#refusals.clear()
  }

  #start(digest: string, credential: Credential, attempt: AuthenticationRequest): Promise<Principal> {
    const running = this.#find(digest, credential, attempt).finally(() => this.#running.delete(digest))
    this.#running.set(digest, running)
    // All who wait may leave before it is over.
    running.catch(() => undefined)
    return running
  }

  async #find(digest: string, credential: Credential, { request, clientAddress, peerAddress }: AuthenticationRequest): Promise<Principal> {
    const { limiter, cache, now } = this.#options
    const address = clientAddress ?? peerAddress
    // A rejection by the limiter says nothing about the credential.
    const find = async (): Promise<Identity | ApiError> => {
      try {
        return await this.#lookup.find(credential, request)
      } catch (error) {
        if (error instanceof ApiError) return error
        throw error
      }
    }
    const verdict = await (limiter ? limiter.run(address, find) : find())
    if (!(verdict instanceof ApiError)) {
      const end = now() + cache.ttl
      this.#principals.set(digest, verdict.principal, Math.min(end, verdict.until ?? end))
      return verdict.principal
    }
    if (verdict instanceof CredentialRefused) {
      limiter?.refused(address)
      const end = now() + cache.negativeTtl
      this.#refusals.set(digest, verdict, Math.min(end, verdict.until ?? end))
    } else this.#refusals.set(digest, verdict, now() + Math.min(failureTtl, cache.negativeTtl))
    throw verdict
  }
}

/** The shared outcome, or the reason of this one caller's leaving. */
function waitFor<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason)
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  return promise
}
