import { ApiError, invalidRequest } from '../errors.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { toApiError } from './error-response.ts'

/** Items are one or more whole frames. `next()` throws when the stream fails; `return()` stops its source at once. */
export interface Frames extends AsyncIterator<Uint8Array, void, undefined> {
  /** Milliseconds that frames may wait for a caller that does not read. Absent: no limit. */
  readonly idleTimeout?: number | undefined
}

/** Calls `tick` every `milliseconds` until it is stopped. */
export type Ticker = (tick: () => void, milliseconds: number) => { stop(): void }

interface SseOptions {
  /** Of the errors and heartbeats in the stream. */
  dialect: Dialect
  requestId: string
  traceId?: string | undefined
  /** Milliseconds of silence after which a comment is sent. It comes after one to two times as long. */
  heartbeatInterval: number
  /** Milliseconds after which the head of the response is sent, whether or not a frame has come. Default: with the first frame or comment. */
  headTimeout?: number | undefined
  /** Milliseconds that the stream may take; it then ends with an error event. Absent: no limit. */
  maxDuration?: number | undefined
  /** Aborted when the caller has disconnected: errors after that are not failures. */
  signal?: AbortSignal
  /** Measures the time that a caller does not read. Default: the system's clock. */
  ticker?: Ticker | undefined
  /** Called once when the stream has ended: with the error where it failed, with nothing where it was complete or the caller disconnected. */
  onEnd?: (failure?: unknown, bytes?: number) => void
}

/**
 * Streams whole frames to the caller, comments through every silence. Whatever fails becomes one error event and the end of the stream.
 * `source` may still be on its way: the caller then gets the head and heartbeats first.
 */
export function sseResponse(source: Frames | Promise<Frames>, options: SseOptions): Response {
  return new Response(new ReadableStream(new SseSource(source, options)), {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' },
  })
}

/** An unread stream is noticed after this many ticks; a tick is a quarter of the idle timeout. */
const idleTicks = 4

const systemTicker: Ticker = (tick, milliseconds) => {
  const timer = setInterval(tick, milliseconds)
  return { stop: () => clearInterval(timer) }
}

class SseSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #options: SseOptions
  readonly #pending: Promise<Frames> | undefined
  #frames: Frames | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #deadline: ReturnType<typeof setTimeout> | undefined
  #headTimer: ReturnType<typeof setTimeout> | undefined
  #unreadTicker: ReturnType<Ticker> | undefined
  /** Frames were handed over and no more were requested: the connection takes none. */
  #unread = false
  #unreadTicks = 0
  #silent = false
  #ended = false
  #bytes = 0

  constructor(source: Frames | Promise<Frames>, options: SseOptions) {
    this.#options = options
    if (source instanceof Promise) {
      this.#pending = source
      // It may reject before the first read; `pull` reports that.
      source.catch(() => undefined)
    } else {
      this.#frames = source
    }
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#pending) controller.enqueue(this.#options.dialect.heartbeat)
    this.#timer = setInterval(() => {
      // A caller that reads slowly has bytes waiting already: it needs no heartbeat.
      if (this.#silent && (controller.desiredSize ?? 0) > 0) controller.enqueue(this.#options.dialect.heartbeat)
      this.#silent = true
    }, this.#options.heartbeatInterval)
    const { maxDuration, headTimeout } = this.#options
    if (maxDuration !== undefined) this.#deadline = setTimeout(() => this.#abort(controller, streamTooLong(maxDuration)), maxDuration)
    if (headTimeout !== undefined && !this.#pending) this.#headTimer = setTimeout(() => this.#sendHead(controller), headTimeout)
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#unread = false
    try {
      this.#frames ??= (await this.#pending) as Frames
      this.#unreadTicker ??= this.#watchReading(controller, this.#frames)
      // What ended the stream while the head was pending stops the source as well.
      if (this.#ended) return
      const { done, value } = await this.#frames.next()
      if (this.#ended) return
      if (!done) {
        if (this.#bytes === 0) clearTimeout(this.#headTimer)
        this.#silent = false
        this.#bytes += value.length
        this.#unread = true
        this.#unreadTicks = 0
        controller.enqueue(value)
        return
      }
      this.#end()
    } catch (error) {
      if (this.#ended) return
      const { signal } = this.#options
      // An abort with an ApiError is the server's own: the caller is still connected and gets the error.
      if (signal?.aborted && error === signal.reason && !(error instanceof ApiError)) {
        this.#end()
      } else {
        this.#fail(controller, error)
      }
    }
    controller.close()
  }

  async cancel(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#stopTimers()
    const stopped = this.#stopSource()
    // The source records its usage as it stops, before the request is complete: now, or once the pending head has failed.
    if (!this.#frames) await stopped.catch(() => undefined)
    this.#end()
    await stopped
  }

  /** The runtime sends the head together with the first bytes. */
  #sendHead(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (!this.#ended && this.#bytes === 0) controller.enqueue(this.#options.dialect.heartbeat)
  }

  #watchReading(controller: ReadableStreamDefaultController<Uint8Array>, { idleTimeout }: Frames): ReturnType<Ticker> | undefined {
    if (idleTimeout === undefined || this.#ended) return undefined
    const { ticker = systemTicker } = this.#options
    const tick = (): void => {
      if (!this.#unread) return
      this.#unreadTicks += 1
      if (this.#unreadTicks > idleTicks) this.#abort(controller, responseNotReadError(idleTimeout))
    }
    return ticker(tick, idleTimeout / idleTicks)
  }

  /** Ends the stream with `error`, independently of its source, and whether or not the caller reads it. */
  #abort(controller: ReadableStreamDefaultController<Uint8Array>, error: ApiError): void {
    if (this.#ended) return
    this.#ended = true
    this.#enqueueError(controller, error)
    controller.close()
    // The result of stopping the source has no reader, but the source records its usage, which is reported when the request is complete.
    this.#stopSource().catch(() => undefined)
    this.#end(error)
  }

  #fail(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): void {
    this.#enqueueError(controller, error)
    this.#end(error)
  }

  #enqueueError(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): void {
    const { requestId, traceId, dialect } = this.#options
    controller.enqueue(dialect.errorEvent(toApiError(error, requestId, traceId)))
  }

  async #stopSource(): Promise<void> {
    if (this.#frames) {
      await this.#frames.return?.()
      return
    }
    // The head has not arrived. The caller's signal has aborted the provider's request; if its reply arrives nevertheless, it is stopped then.
    await this.#pending?.then(
      (frames) => frames.return?.(),
      () => undefined,
    )
  }

  #end(failure?: unknown): void {
    this.#ended = true
    this.#stopTimers()
    this.#options.onEnd?.(failure, this.#bytes)
  }

  #stopTimers(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#deadline)
    clearTimeout(this.#headTimer)
    this.#unreadTicker?.stop()
  }
}

function streamTooLong(milliseconds: number): ApiError {
  return new ApiError('service_unavailable_error', `The stream exceeded the maximum duration of ${milliseconds / 1000} s.`, {
    code: 'stream_too_long',
  })
}

/** The code of the error with which a stream ends whose caller does not read it. */
export const responseNotRead = 'response_not_read'

function responseNotReadError(milliseconds: number): ApiError {
  return invalidRequest(`The client did not read the response for ${milliseconds / 1000} s; the stream was closed.`, {
    status: 408,
    code: responseNotRead,
  })
}
