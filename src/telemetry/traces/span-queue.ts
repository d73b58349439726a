import { startThread, type WorkerThread } from '../../runtime/thread.ts'
import type { FromWorker, ToWorker, WorkerSettings } from '../worker/messages.ts'
import type { SpanRecord } from './span.ts'

/** What became of spans that did not get where they should. */
export interface QueueNews {
  dropped(spans: number, where: 'queue' | 'export' | 'store'): void
  /** A collector did not take some of what it was sent: it says why. They are counted as dropped, too. */
  rejected(spans: number, why: string): void
  /** Told once until it is back. */
  failed(what: 'export' | 'store' | 'thread', why: string): void
  back(what: 'export' | 'store' | 'thread'): void
}

export interface SpanQueueOptions {
  readonly settings: WorkerSettings
  readonly news: QueueNews
  /** Spans that may wait here and be on their way to the thread. */
  readonly capacity: number
  /** Milliseconds after which what waits is handed over. Default 200. */
  readonly delay?: number
  /** For tests. */
  readonly start?: (onMessage: (message: FromWorker) => void, onEnd: (cause: unknown) => void) => WorkerThread<ToWorker>
}

/** Spans in one message to the thread: few enough that handing them over is not felt. */
const batch = 32
/** Milliseconds before a thread that died is started anew. */
const restartAfter = 10_000

/** What stands between requests and the thread: bounded, never waits, never throws. The thread is started with the first span. */
export class SpanQueue {
  readonly #options: SpanQueueOptions
  #waiting: SpanRecord[] = []
  #onTheWay = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #thread: WorkerThread<ToWorker> | undefined
  #diedAt = -Infinity
  #isDown = false
  #flushes = 0
  readonly #answered = new Map<number, () => void>()
  #onClosed: (() => void) | undefined

  constructor(options: SpanQueueOptions) {
    this.#options = options
  }

  take(spans: readonly SpanRecord[]): void {
    const { capacity, delay = 200, news } = this.#options
    if (this.#waiting.length + this.#onTheWay + spans.length > capacity) {
      news.dropped(spans.length, 'queue')
      return
    }
    for (const span of spans) this.#waiting.push(span)
    if (this.#waiting.length >= batch) this.#handOver()
    else this.#timer ??= setTimeout(() => this.#handOver(), delay)
  }

  /** Resolves once all that was taken is written and sent, or could not be, or `limit` milliseconds are over. */
  async flush(limit: number): Promise<void> {
    this.#handOver()
    const thread = this.#thread
    if (!thread) return
    const id = ++this.#flushes
    await this.#within(limit, thread, (resolve) => {
      this.#answered.set(id, resolve)
      thread.post({ kind: 'flush', id })
    })
    this.#answered.delete(id)
  }

  /** Flushes, and ends the thread. */
  async close(limit: number): Promise<void> {
    this.#handOver()
    const thread = this.#thread
    if (!thread) return
    await this.#within(limit, thread, (resolve) => {
      this.#onClosed = resolve
      thread.post({ kind: 'close' })
    })
    this.#thread = undefined
    this.#diedAt = Infinity
    await thread.terminate()
  }

  async #within(limit: number, thread: WorkerThread<ToWorker>, begin: (resolve: () => void) => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, limit)
    thread.keepAlive(true)
    begin(resolve)
    await promise
    clearTimeout(timer)
    this.#thread?.keepAlive(false)
  }

  #handOver(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting.length === 0) return
    const spans = this.#waiting
    this.#waiting = []
    try {
      const thread = this.#running()
      if (thread) {
        thread.post({ kind: 'spans', count: spans.length, json: JSON.stringify(spans) })
        this.#onTheWay += spans.length
        return
      }
    } catch (error) {
      this.#died(error)
    }
    this.#options.news.dropped(spans.length, 'queue')
  }

  #running(): WorkerThread<ToWorker> | undefined {
    if (this.#thread) return this.#thread
    if (performance.now() - this.#diedAt < restartAfter) return undefined
    const { start = startWorker(this.#options.settings) } = this.#options
    this.#thread = start(
      (message) => this.#hear(message),
      (cause) => this.#died(cause),
    )
    return this.#thread
  }

  #hear(message: FromWorker): void {
    const { news } = this.#options
    switch (message.kind) {
      case 'done':
        this.#onTheWay -= message.spans
        if (!this.#isDown) return
        this.#isDown = false
        return news.back('thread')
      case 'flushed':
        return this.#answered.get(message.id)?.()
      case 'dropped':
        return news.dropped(message.spans, message.what)
      case 'rejected':
        return news.rejected(message.spans, message.why)
      case 'failed':
        return news.failed(message.what, message.why)
      case 'back':
        return news.back(message.what)
      case 'closed':
        return this.#onClosed?.()
      default:
        message satisfies never
    }
  }

  #died(cause: unknown): void {
    this.#thread = undefined
    this.#diedAt = performance.now()
    if (this.#onTheWay > 0) this.#options.news.dropped(this.#onTheWay, 'queue')
    this.#onTheWay = 0
    for (const resolve of this.#answered.values()) resolve()
    this.#onClosed?.()
    if (this.#isDown) return
    this.#isDown = true
    this.#options.news.failed('thread', cause instanceof Error ? cause.message : String(cause))
  }
}

function startWorker(settings: WorkerSettings): NonNullable<SpanQueueOptions['start']> {
  return (onMessage, onEnd) =>
    startThread<ToWorker, FromWorker>(new URL('../worker/main.ts', import.meta.url), { data: settings, onMessage, onEnd })
}
