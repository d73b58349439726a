import { unavailable } from '../errors.ts'

/** Counts the bytes of the request bodies that all running requests hold in memory, decompressed. */
export class BodyBudget {
  readonly limit: number
  #used = 0

  /** `limit`: bytes. */
  constructor(limit: number) {
    this.limit = limit
  }

  get used(): number {
    return this.#used
  }

  /** Throws ApiError 503 when these bytes do not fit; then nothing is counted. */
  reserve(bytes: number): void {
    if (this.#used + bytes > this.limit) {
      throw unavailable('The request bodies in flight exceed the server memory limit for them. Try again later.', 1, {
        code: 'too_many_request_bytes',
        headers: { connection: 'close' },
      })
    }
    this.#used += bytes
  }

  release(bytes: number): void {
    this.#used -= bytes
  }
}
