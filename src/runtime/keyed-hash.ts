/**
 * HMAC-SHA-256 with one key. The key is taken in once: of node:crypto, which does so for every text, it costs half.
 */
export class KeyedHash {
  readonly #keyed: Bun.CryptoHasher

  constructor(key: string) {
    this.#keyed = new Bun.CryptoHasher('sha256', key)
  }

  digest(text: string): Buffer {
    return this.#keyed.copy().update(text).digest()
  }
}
