import { unavailable } from '../errors.ts'

/** Counts the bytes of the request bodies that all running requests hold in memory, decompressed. */
export class BodyBudget {
  readonly limit: number
  #held = 0

  /** `limit`: bytes. */
  constructor(limit: number) {
    this.limit = limit
  }

  get held(): number {
    return this.#held
  }

  /** Throws ApiError 503 when these bytes do not fit; then nothing is counted. */
  take(bytes: number): void {
    if (this.#held + bytes > this.limit) {
      throw unavailable('The request bodies that this server is processing fill the memory set aside for them. Try again.', 1, {
        code: 'too_many_request_bytes',
        headers: { connection: 'close' },
      })
    }
    this.#held += bytes
  }

  release(bytes: number): void {
    this.#held -= bytes
  }
}
