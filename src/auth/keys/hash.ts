import { timingSafeEqual } from 'node:crypto'
import { KeyedHash } from '../../runtime/keyed-hash.ts'
import type { Secret } from '../../secret.ts'

/** Hashes tokens with a pepper that is not in the database: the database alone does not allow to test guesses. */
export class KeyHasher {
  readonly #hash: KeyedHash
  /** Identifies the pepper without disclosing it: 32 bits of a hash. */
  readonly pepperId: string

  constructor(pepper: Secret) {
    this.#hash = new KeyedHash(pepper.reveal())
    this.pepperId = this.#hash.digest('corral: which pepper').toString('hex').slice(0, 8)
  }

  /** HMAC-SHA-256 of the whole token, the key's id included, so that one row's hash is worth nothing in another's. */
  digest(token: string): Buffer {
    return this.#hash.digest(token)
  }

  /** As it is stored: the pepper's id, a colon, 64 hex digits. */
  stored(token: Secret): string {
    return `${this.pepperId}:${this.digest(token.reveal()).toString('hex')}`
  }
}

/** A stored hash, read. */
export interface StoredHash {
  readonly pepperId: string
  readonly digest: Buffer
}

const form = /^([0-9a-f]{8}):([0-9a-f]{64})$/

/** Undefined: not in the form that `stored` gives, so no token fits it. */
export function readHash(text: string): StoredHash | undefined {
  const [, pepperId, digest] = form.exec(text) ?? []
  return pepperId !== undefined && digest !== undefined ? { pepperId, digest: Buffer.from(digest, 'hex') } : undefined
}

/** In constant time. */
export function sameHash(stored: StoredHash | undefined, digest: Buffer): boolean {
  return stored !== undefined && timingSafeEqual(stored.digest, digest)
}
