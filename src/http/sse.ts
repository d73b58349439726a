import { ApiError } from '../errors.ts'
import { toApiError, toErrorBody } from './error-response.ts'

const encoder = new TextEncoder()
/** A comment: every client skips it, and every proxy on the way sees that the connection lives. */
const heartbeat = encoder.encode(': ping\n\n')

/** Items are one or more whole frames. `next()` throws when the stream fails; `return()` stops its source at once. */
export type Frames = AsyncIterator<Uint8Array, void, undefined>

export interface SseOptions {
  requestId: string
  traceId?: string | undefined
  /** Milliseconds of silence after which a comment is sent. It comes after one to two times as long. */
  heartbeatInterval: number
  /** Milliseconds that the stream may take; it then ends with an error event. Absent: no limit. */
  maxDuration?: number | undefined
  /** Aborted when the caller has left: what fails then is no failure. */
  signal?: AbortSignal
  /** An error as this door's clients read it; default: OpenAI's `data: {"error": …}`. */
  encodeError?: (error: ApiError) => string
  /** Called once when the stream is over: with what was thrown when it failed, with nothing when it was whole or the caller left. */
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

class SseSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #options: SseOptions
  readonly #pending: Promise<Frames> | undefined
  #frames: Frames | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #deadline: ReturnType<typeof setTimeout> | undefined
  #silent = false
  #over = false
  #bytes = 0

  constructor(source: Frames | Promise<Frames>, options: SseOptions) {
    this.#options = options
    if (source instanceof Promise) {
      this.#pending = source
      // It may fail before anybody reads; `pull` tells of it when somebody does.
      source.catch(() => undefined)
    } else {
      this.#frames = source
    }
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#pending) controller.enqueue(heartbeat)
    this.#timer = setInterval(() => {
      // A caller that reads slowly has bytes waiting already: it needs no sign of life.
      if (this.#silent && (controller.desiredSize ?? 0) > 0) controller.enqueue(heartbeat)
      this.#silent = true
    }, this.#options.heartbeatInterval)
    const { maxDuration } = this.#options
    if (maxDuration !== undefined) this.#deadline = setTimeout(() => this.#expire(controller, maxDuration), maxDuration)
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      this.#frames ??= (await this.#pending) as Frames
      // Whoever ended it while the head was awaited stops the source as well.
      if (this.#over) return
      const { done, value } = await this.#frames.next()
      if (this.#over) return
      if (!done) {
        this.#silent = false
        this.#bytes += value.length
        controller.enqueue(value)
        return
      }
      this.#end()
    } catch (error) {
      if (this.#over) return
      const { signal } = this.#options
      // An abort with an ApiError is the server's own, and the caller is still there to be told.
      if (signal?.aborted && error === signal.reason && !(error instanceof ApiError)) {
        this.#end()
      } else {
        this.#tell(controller, error)
      }
    }
    controller.close()
  }

  async cancel(): Promise<void> {
    if (this.#over) return
    this.#over = true
    this.#stopTimers()
    const stopped = this.#stopSource()
    // The source notes what it took as it stops, which its request's end tells: at once, or once the head that was awaited has failed.
    if (!this.#frames) await stopped.catch(() => undefined)
    this.#end()
    await stopped
  }

  /** However it goes on, and whether or not anybody reads it. */
  #expire(controller: ReadableStreamDefaultController<Uint8Array>, maxDuration: number): void {
    if (this.#over) return
    this.#over = true
    const error = tooLong(maxDuration)
    this.#enqueueError(controller, error)
    controller.close()
    // Nobody waits for the source any more, and what its end says, no one would hear; but it notes what it took, which the request's end tells.
    this.#stopSource().catch(() => undefined)
    this.#end(error)
  }

  #tell(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): void {
    this.#enqueueError(controller, error)
    this.#end(error)
  }

  #enqueueError(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): void {
    const { requestId, traceId, encodeError = toErrorEvent } = this.#options
    controller.enqueue(encoder.encode(encodeError(toApiError(error, requestId, traceId))))
  }

  async #stopSource(): Promise<void> {
    if (this.#frames) {
      await this.#frames.return?.()
      return
    }
    // The head is not there yet. The caller's signal has told the provider; should its answer come all the same, it is stopped then.
    await this.#pending?.then(
      (frames) => frames.return?.(),
      () => undefined,
    )
  }

  #end(failure?: unknown): void {
    this.#over = true
    this.#stopTimers()
    this.#options.onEnd?.(failure, this.#bytes)
  }

  #stopTimers(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#deadline)
  }
}

function tooLong(milliseconds: number): ApiError {
  return new ApiError(
    'service_unavailable_error',
    `The answer took longer than the ${milliseconds / 1000} s that a stream may take here.`,
    {
      code: 'stream_too_long',
    },
  )
}

function toErrorEvent(error: ApiError): string {
  return `data: ${JSON.stringify(toErrorBody(error))}\n\n`
}
