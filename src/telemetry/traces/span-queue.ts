import { startThread, type WorkerThread } from '../../runtime/thread.ts'
import type { FromWorker, ToWorker, WorkerSettings } from '../worker/messages.ts'
import type { SpanRecord } from './span.ts'
import { within } from '../../timing.ts'

/** Counts of spans that were not delivered. */
export interface SpanQueueEvents {
  dropped(spans: number, where: 'queue' | 'export' | 'store'): void
  /** A collector did not take some of what it was sent: it says why. They are counted as dropped, too. */
  rejected(spans: number, why: string): void
  /** Once per outage. */
  failed(what: 'export' | 'store' | 'thread', why: string): void
  recovered(what: 'export' | 'store' | 'thread'): void
}

interface SpanQueueOptions {
  readonly settings: WorkerSettings
  readonly events: SpanQueueEvents
  /** Spans that may wait here and be on their way to the thread. */
  readonly capacity: number
  /** Milliseconds after which what waits is handed over. Default 200. */
  readonly delay?: number
  /** For tests. */
  readonly start?: (onMessage: (message: FromWorker) => void, onEnd: (cause: unknown) => void) => WorkerThread<ToWorker>
}

/** Spans in one message to the thread: few enough that handing them over is not felt. */
const batch = 32
/** Milliseconds before a thread that died is restarted. */
const restartAfter = 10_000

/** The bounded queue between requests and the thread: never blocks, never throws. The thread starts with the first span. */
export class SpanQueue {
  readonly #options: SpanQueueOptions
  #waiting: SpanRecord[] = []
  #inFlight = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #thread: WorkerThread<ToWorker> | undefined
  #diedAt = -Infinity
  #isDown = false
  #flushes = 0
  readonly #pendingFlushes = new Map<number, () => void>()
  #onClosed: (() => void) | undefined

  constructor(options: SpanQueueOptions) {
    this.#options = options
  }

  take(spans: readonly SpanRecord[]): void {
    const { capacity, delay = 200, events } = this.#options
    if (this.#waiting.length + this.#inFlight + spans.length > capacity) {
      events.dropped(spans.length, 'queue')
      return
    }
    for (const span of spans) this.#waiting.push(span)
    if (this.#waiting.length >= batch) this.#post()
    else this.#timer ??= setTimeout(() => this.#post(), delay)
  }

  /** Resolves once all that was taken is written and sent, or could not be, or `limit` milliseconds are over. */
  async flush(limit: number): Promise<void> {
    this.#post()
    const thread = this.#thread
    if (!thread) return
    const id = ++this.#flushes
    await this.#within(limit, thread, (resolve) => {
      this.#pendingFlushes.set(id, resolve)
      thread.post({ kind: 'flush', id })
    })
    this.#pendingFlushes.delete(id)
  }

  /** Flushes, and ends the thread. */
  async close(limit: number): Promise<void> {
    this.#post()
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
    thread.keepAlive(true)
    begin(resolve)
    await within(limit, promise, undefined)
    this.#thread?.keepAlive(false)
  }

  #post(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting.length === 0) return
    const spans = this.#waiting
    this.#waiting = []
    try {
      const thread = this.#running()
      if (thread) {
        thread.post({ kind: 'spans', count: spans.length, json: JSON.stringify(spans) })
        this.#inFlight += spans.length
        return
      }
    } catch (error) {
      this.#handleExit(error)
    }
    this.#options.events.dropped(spans.length, 'queue')
  }

  #running(): WorkerThread<ToWorker> | undefined {
    if (this.#thread) return this.#thread
    if (performance.now() - this.#diedAt < restartAfter) return undefined
    const { start = startWorker(this.#options.settings) } = this.#options
    this.#thread = start(
      (message) => this.#handleMessage(message),
      (cause) => this.#handleExit(cause),
    )
    return this.#thread
  }

  #handleMessage(message: FromWorker): void {
    const { events } = this.#options
    switch (message.kind) {
      case 'done':
        this.#inFlight -= message.spans
        if (!this.#isDown) return
        this.#isDown = false
        return events.recovered('thread')
      case 'flushed':
        return this.#pendingFlushes.get(message.id)?.()
      case 'dropped':
        return events.dropped(message.spans, message.what)
      case 'rejected':
        return events.rejected(message.spans, message.why)
      case 'failed':
        return events.failed(message.what, message.why)
      case 'back':
        return events.recovered(message.what)
      case 'closed':
        return this.#onClosed?.()
      default:
        message satisfies never
    }
  }

  #handleExit(cause: unknown): void {
    this.#thread = undefined
    this.#diedAt = performance.now()
    if (this.#inFlight > 0) this.#options.events.dropped(this.#inFlight, 'queue')
    this.#inFlight = 0
    for (const resolve of this.#pendingFlushes.values()) resolve()
    this.#onClosed?.()
    if (this.#isDown) return
    this.#isDown = true
    this.#options.events.failed('thread', cause instanceof Error ? cause.message : String(cause))
  }
}

function startWorker(settings: WorkerSettings): NonNullable<SpanQueueOptions['start']> {
  return (onMessage, onEnd) =>
    startThread<ToWorker, FromWorker>(new URL('../worker/main.ts', import.meta.url), { data: settings, onMessage, onEnd })
}
