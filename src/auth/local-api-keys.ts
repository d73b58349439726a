import { createHmac, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import type { Principal } from '../call.ts'
import type { Secret } from '../secret.ts'
import type { AuthenticationRequest, Authenticator } from './authenticator.ts'
import { toAttributes } from './claims.ts'
import { CredentialRefused } from './refusal.ts'

const derive = promisify<string, string, number, Buffer>(scrypt)

/** Bytes of a principal's name that are made of its key. */
const nameBytes = 8

/** OGX's: every key has both roles. */
const attributes = toAttributes([['roles', ['admin', 'owner']]])

/** Keys listed in the configuration: `local_api_key` of OGX. */
export class LocalApiKeys implements Authenticator {
  readonly type = 'local_api_key'
  readonly missingCredentialMessage = 'Authentication required. Please provide your API key as a Bearer token'
  /** By keyed hash: the duration of a look-up reveals nothing about the keys. */
  readonly #keys = new Map<string, Secret>()
  readonly #principals = new Map<string, Promise<Principal>>()
  readonly #pepper = randomBytes(32)

  constructor(keys: readonly Secret[]) {
    for (const key of keys) this.#keys.set(this.#digest(key.reveal()), key)
  }

  authenticate({ credential }: AuthenticationRequest): Promise<Principal> | undefined {
    if (!credential) return undefined
    const digest = this.#digest(credential.token)
    if (!this.#keys.has(digest)) throw new CredentialRefused('Invalid API key', { reason: 'no local API key', final: false })
    let principal = this.#principals.get(digest)
    if (!principal) this.#principals.set(digest, (principal = principalOf(credential.token)))
    return principal
  }

  #digest(token: string): string {
    return createHmac('sha256', this.#pepper).update(token).digest('base64')
  }
}

/**
 * A name that stays the same over restarts and changes of the list, so that what a key's holder owns stays its own. Names are in logs and rows:
 * the hash is slow so that a weak key cannot be guessed from them.
 */
async function principalOf(key: string): Promise<Principal> {
  const hash = await derive(key, 'corral local_api_key', nameBytes)
  return Object.freeze({ id: `local:${hash.toString('hex')}`, attributes, authenticator: 'local_api_key' })
}
