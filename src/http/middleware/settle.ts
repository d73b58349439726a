import { ApiError, invalidRequest } from '../../errors.ts'
import type { Events } from '../../telemetry/events.ts'
import type { BodyBudget } from '../body-budget.ts'
import { toApiError, toErrorResponse } from '../error-response.ts'
import type { RequestContext } from './context.ts'
import type { Next } from './middleware.ts'

/**
 * The requests that are not over yet, streams included. Slots that are used again, not a Set: objects that go in and out of a long-lived
 * Set or Map cost Bun 1.4 some 20 µs of garbage collection each, a third of a whole request.
 */
export class RunningRequests {
  readonly #slots: (RequestContext | undefined)[] = []
  readonly #free: number[] = []
  #uploadIdle: number
  #sweep: ReturnType<typeof setTimeout> | undefined

  /** `uploadIdle`: milliseconds without a byte after which a body is given up on. */
  constructor({ uploadIdle = 30_000 }: { uploadIdle?: number } = {}) {
    this.#uploadIdle = uploadIdle
  }

  get count(): number {
    return this.#slots.length - this.#free.length
  }

  /** Those that stream. */
  get streams(): number {
    return this.#slots.reduce((count, context) => count + (context?.streaming ? 1 : 0), 0)
  }

  add(context: RequestContext): void {
    const slot = this.#free.pop() ?? this.#slots.length
    context.slot = slot
    this.#slots[slot] = context
    if (this.#sweep === undefined) this.#planSweep()
  }

  delete(context: RequestContext): void {
    this.#slots[context.slot] = undefined
    this.#free.push(context.slot)
  }

  /** Gives up on what still runs: callers get `reason` as their answer or as the last event of their stream. */
  abort(reason: ApiError): void {
    for (const context of this.#slots) context?.abort(reason)
  }

  /** Gives up on bodies that are not there yet, and from now on soon on those that stop coming. */
  abortUploads(reason: ApiError): void {
    this.#uploadIdle = Math.min(this.#uploadIdle, lastUploadIdle)
    for (const context of this.#slots) context?.abortUpload(reason)
    this.#planSweep()
  }

  /** One timer for all, not one a request. It runs as long as anything does. */
  #planSweep(): void {
    clearTimeout(this.#sweep)
    this.#sweep = setTimeout(() => this.#sweepUploads(), Math.min(this.#uploadIdle / 4, longestSweep))
    this.#sweep.unref()
  }

  #sweepUploads(): void {
    this.#sweep = undefined
    if (this.count === 0) return
    const since = performance.now() - this.#uploadIdle
    for (const context of this.#slots) context?.abortUpload(tooSlow, since)
    this.#planSweep()
  }
}

/** Milliseconds. */
const longestSweep = 5_000
const lastUploadIdle = 1_000

const tooSlow = invalidRequest('The request body stopped coming.', {
  status: 408,
  code: 'request_timeout',
  headers: { connection: 'close' },
})

export interface SettleOptions {
  readonly events: Pick<Events, 'requestStarted' | 'requestFinished'>
  readonly running: RunningRequests
  readonly bodies: BodyBudget
  /** True once the server is about to stop: callers are told to close their connections. */
  readonly stopping: () => boolean
}

/** Milliseconds that whoever streams gets to report the end by itself after its caller has left. */
const patience = 1000

/**
 * The outermost layer, and the only one that waits for the answer: turns what was thrown into an error answer, puts the headers
 * that the layers asked for on it, and tells when the request is over, which for a stream is its end.
 */
export function settle(next: Next, { events, running, bodies, stopping }: SettleOptions) {
  const finish = (context: RequestContext): void => {
    running.delete(context)
    events.requestFinished(context)
  }
  return async (request: Request, context: RequestContext): Promise<Response> => {
    running.add(context)
    events.requestStarted()
    context.whenOver = finish
    context.bodyBudget = bodies
    let answer: Response
    try {
      answer = await next(request, context)
    } catch (thrown) {
      context.error = context.callerLeft ? new ApiError('client_left', 'The caller left.', { status: 499 }) : thrown
      answer = toErrorResponse(toApiError(context.error, context.requestId, context.trace?.traceId))
    }
    context.status = answer.status
    if (!context.streaming || context.ended || context.error !== undefined) context.over()
    else context.endAfterCaller(patience)
    if (stopping() || neverEnds(request)) context.answerHeaders.push('connection', 'close')
    return withHeaders(answer, context.answerHeaders)
  }
}

/** A body of unknown length that nobody has read: the runtime would take it in and drop it for as long as the caller cares to send. */
function neverEnds({ headers, bodyUsed }: Request): boolean {
  return headers.get('transfer-encoding') !== null && !bodyUsed
}

function withHeaders(answer: Response, pairs: readonly string[]): Response {
  try {
    setHeaders(answer.headers, pairs)
    return answer
  } catch (error) {
    // The headers of `Response.redirect()` and of fetched answers cannot be written.
    if (!(error instanceof TypeError)) throw error
    const copy = new Response(answer.body, answer)
    setHeaders(copy.headers, pairs)
    return copy
  }
}

function setHeaders(headers: Headers, pairs: readonly string[]): void {
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const name = pairs[at] as string
    if (name === 'vary') headers.append(name, pairs[at + 1] as string)
    else headers.set(name, pairs[at + 1] as string)
  }
}
