import type { ApiError } from '../errors.ts'
import type { JwksConfig } from './config.ts'
import { jsonObjectOf, type IdentityService } from './identity-service.ts'
import { readKeySet, type VerificationKey } from './verification-keys.ts'

/** Milliseconds after a failed fetch before another is tried. */
const retryDelay = 1_000

/** For how many recheck periods keys remain valid that could not be refreshed. */
const maxStalePeriods = 2

/**
 * An issuer's keys, fetched on first use, again after the recheck period (in the background), and when a token names a key
 * that is not among them, that at most once in the cooldown. One fetch at a time.
 */
export class KeySetSource {
  readonly #config: JwksConfig
  readonly #service: IdentityService
  readonly #now: () => number
  #keys: readonly VerificationKey[] | undefined
  #fetchedAt = -Infinity
  #triedAt = -Infinity
  /** Of the latest try; undefined where it worked. */
  #failure: ApiError | undefined
  #running: Promise<readonly VerificationKey[]> | undefined

  constructor(config: JwksConfig, service: IdentityService, now: () => number) {
    this.#config = config
    this.#service = service
    this.#now = now
  }

  /** Throws ApiError 503 where there are none that may still be believed. */
  current(): readonly VerificationKey[] | Promise<readonly VerificationKey[]> {
    const age = this.#now() - this.#fetchedAt
    const { recheckPeriod } = this.#config
    if (!this.#keys || age >= recheckPeriod * maxStalePeriods) return this.#fetchUnlessJustFailed()
    // A failure is in the log, and the keys at hand are good for a while.
    if (age >= recheckPeriod && !this.#justFailed()) this.#fetch().catch(() => undefined)
    return this.#keys
  }

  /** After a token named a key that is not among the current ones: those there are now. Throws ApiError 503. */
  async renewed(): Promise<readonly VerificationKey[]> {
    if (this.#running) return this.#running
    if (this.#failure) return this.#fetchUnlessJustFailed()
    return this.cooldownEnd > this.#now() ? (this.#keys ?? []) : this.#fetch()
  }

  /** Milliseconds of the epoch from which on an unknown key causes a fetch again. */
  get cooldownEnd(): number {
    return this.#triedAt + this.#config.refetchCooldown
  }

  #justFailed(): boolean {
    return this.#failure !== undefined && this.#now() - this.#triedAt < retryDelay
  }

  #fetchUnlessJustFailed(): Promise<readonly VerificationKey[]> {
    return this.#justFailed() && !this.#running ? Promise.reject(this.#failure) : this.#fetch()
  }

  #fetch(): Promise<readonly VerificationKey[]> {
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #ask(): Promise<readonly VerificationKey[]> {
    this.#triedAt = this.#now()
    try {
      const keys = await this.#download()
      this.#keys = keys
      this.#fetchedAt = this.#now()
      this.#failure = undefined
      return keys
    } catch (error) {
      this.#failure = error as ApiError
      throw error
    } finally {
      this.#triedAt = this.#now()
    }
  }

  async #download(): Promise<readonly VerificationKey[]> {
    const { uri, token } = this.#config
    const response = await this.#service.send(uri, {
      method: 'GET',
      headers: {
        accept: 'application/jwk-set+json, application/json',
        ...(token && { authorization: `Bearer ${token.reveal()}` }),
      },
    })
    if (response.status !== 200) throw this.#service.invalidResponse(uri, `the key set URL responded with status ${response.status}`)
    const keys = readKeySet(jsonObjectOf(response))
    if (!keys) throw this.#service.invalidResponse(uri, 'the key set URL returned something other than a key set')
    this.#service.reportSuccess(uri)
    return keys
  }
}
