import type { SpanRecord } from '../traces/span.ts'
import type { FromWorker, TraceStoreWriter } from './messages.ts'

/** Milliseconds between two attempts to open a store that could not be opened. */
const retryAfter = 10_000

/** Writes spans to the store; while it fails (a full disk, an unwritable file) spans are lost, and the outage is reported once. */
export class StoreFeed {
  readonly #open: () => Promise<TraceStoreWriter>
  readonly #post: (message: FromWorker) => void
  readonly #now: () => number
  #writer: TraceStoreWriter | undefined
  #retryAt = 0
  #isDown = false

  constructor(open: () => Promise<TraceStoreWriter>, post: (message: FromWorker) => void, now: () => number = Date.now) {
    this.#open = open
    this.#post = post
    this.#now = now
  }

  /** Never rejects. */
  async write(spans: readonly SpanRecord[]): Promise<void> {
    if (!this.#writer && this.#now() < this.#retryAt) return this.#drop(spans.length)
    try {
      this.#writer ??= await this.#open()
      await this.#writer.write(spans)
      if (!this.#isDown) return
      this.#isDown = false
      this.#post({ kind: 'back', what: 'store' })
    } catch (error) {
      this.#retryAt = this.#now() + retryAfter
      this.#drop(spans.length)
      if (this.#isDown) return
      this.#isDown = true
      this.#post({ kind: 'failed', what: 'store', why: error instanceof Error ? error.message : String(error) })
    }
  }

  async close(): Promise<void> {
    try {
      await this.#writer?.close()
    } catch (error) {
      this.#post({ kind: 'failed', what: 'store', why: error instanceof Error ? error.message : String(error) })
    }
  }

  #drop(spans: number): void {
    this.#post({ kind: 'dropped', what: 'store', spans })
  }
}
