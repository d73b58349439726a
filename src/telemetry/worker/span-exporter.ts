import type { SpanRecord } from '../traces/span.ts'
import type { FromWorker } from './messages.ts'
import type { SendResult } from './otlp-sender.ts'
import type { PartialSuccess } from './partial-success.ts'
import { RejectionSummary } from './rejection-summary.ts'

interface SpanExporterOptions {
  readonly encode: (spans: readonly SpanRecord[]) => Uint8Array
  readonly send: (message: Uint8Array) => Promise<SendResult>
  readonly post: (message: FromWorker) => void
  readonly queueSize: number
  readonly batchSize: number
  /** Milliseconds that spans wait for others. */
  readonly delay: number
  /** Milliseconds after the first failure of one in a row; doubles up to `maxRetryDelay`. Default 1 s and 30 s. */
  readonly initialRetryDelay?: number
  readonly maxRetryDelay?: number
  readonly now?: () => number
}

/** Sends spans in batches, one at a time; keeps a bounded number while a collector is unavailable, and drops and counts the rest. */
export class SpanExporter {
  readonly #options: SpanExporterOptions
  readonly #queue: SpanRecord[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending: Promise<void> | undefined
  #failures = 0
  #isDown = false
  #closed = false
  readonly #rejected = new RejectionSummary()

  constructor(options: SpanExporterOptions) {
    this.#options = options
  }

  add(spans: readonly SpanRecord[]): void {
    const { queueSize, batchSize, delay, post } = this.#options
    const room = Math.max(queueSize - this.#queue.length, 0)
    this.#queue.push(...spans.slice(0, room))
    if (spans.length > room) post({ kind: 'dropped', what: 'export', spans: spans.length - room })
    if (this.#queue.length >= batchSize && this.#failures === 0) this.#begin()
    else this.#plan(delay)
  }

  /** Tries to send all that waits, once: what fails now stays for later, unless it is closed. */
  async flush(): Promise<void> {
    await this.#sending
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (this.#queue.length > 0) {
      const before = this.#failures
      this.#sending ??= this.#sendOne().then((wait) => this.#next(wait))
      await this.#sending
      if (this.#failures > before) return
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.flush()
    this.#reportRejected(Infinity)
    if (this.#queue.length > 0) this.#options.post({ kind: 'dropped', what: 'export', spans: this.#queue.length })
  }

  #plan(wait: number): void {
    if (this.#closed || this.#timer !== undefined || this.#sending || this.#queue.length === 0) return
    this.#timer = setTimeout(() => this.#begin(), wait)
  }

  #begin(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sending ??= this.#sendOne().then((wait) => this.#next(wait))
  }

  #next(wait: number): void {
    this.#sending = undefined
    if (wait > 0) this.#plan(wait)
    else if (this.#queue.length >= this.#options.batchSize && !this.#closed) this.#begin()
    else this.#plan(this.#options.delay)
  }

  /** Resolves with the milliseconds to wait before the next; 0: the interval. */
  async #sendOne(): Promise<number> {
    const { encode, send, post, batchSize } = this.#options
    const batch = this.#queue.slice(0, batchSize)
    const result = await encoded(batch, encode, send)
    if (result.kind === 'retry') {
      this.#failures += 1
      this.#down(result.why)
      // A collector that asks for 0 is not called without a pause.
      return Math.max(result.retryAfter ?? this.#backoff(), this.#options.delay, 1)
    }
    this.#failures = 0
    this.#queue.splice(0, batch.length)
    if (result.kind === 'refused') {
      this.#down(result.why)
      post({ kind: 'dropped', what: 'export', spans: batch.length })
      return 0
    }
    if (this.#isDown) {
      this.#isDown = false
      post({ kind: 'back', what: 'export' })
    }
    if (result.partial) this.#reject(result.partial, batch.length)
    return 0
  }

  /** What a collector took in part is not sent again (OTLP, "Partial Success"). */
  #reject({ rejected, why }: PartialSuccess, max: number): void {
    const { post, now = () => performance.now() } = this.#options
    const spans = Math.min(rejected, max)
    if (spans > 0) post({ kind: 'dropped', what: 'export', spans })
    this.#rejected.add({ rejected: spans, why })
    this.#reportRejected(now())
  }

  #reportRejected(now: number): void {
    const due = this.#rejected.due(now)
    if (due) this.#options.post({ kind: 'rejected', spans: due.rejected, why: due.why })
  }

  #down(why: string): void {
    if (this.#isDown) return
    this.#isDown = true
    this.#options.post({ kind: 'failed', what: 'export', why })
  }

  /** Between half and all of it, so that many servers do not come back at once. */
  #backoff(): number {
    const { initialRetryDelay = 1_000, maxRetryDelay = 30_000 } = this.#options
    return Math.min(initialRetryDelay * 2 ** (this.#failures - 1), maxRetryDelay) * (0.5 + Math.random() / 2)
  }
}

/** What cannot be encoded is refused: it would fail again. */
async function encoded(
  batch: readonly SpanRecord[],
  encode: SpanExporterOptions['encode'],
  send: SpanExporterOptions['send'],
): Promise<SendResult> {
  let message: Uint8Array
  try {
    message = encode(batch)
  } catch (error) {
    return { kind: 'refused', why: error instanceof Error ? error.message : String(error) }
  }
  return send(message)
}
