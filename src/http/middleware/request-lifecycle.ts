import { type Dialect, dialectOfPath } from '../../dialects/dialect.ts'
import { ApiError, invalidRequest } from '../../errors.ts'
import type { Events } from '../../telemetry/events.ts'
import type { BodyBudget } from '../body-budget.ts'
import { toApiError, toErrorResponse } from '../error-response.ts'
import type { RequestContext } from './context.ts'
import type { Next } from './middleware.ts'

/**
 * The requests that are not complete, streams included. Slots that are used again, not a Set: objects that go in and out of a long-lived
 * Set or Map cost Bun 1.4 some 20 µs of garbage collection each, a third of a whole request.
 */
export class ActiveRequests {
  readonly #slots: (RequestContext | undefined)[] = []
  readonly #free: number[] = []
  #uploadIdle: number
  #sweep: ReturnType<typeof setTimeout> | undefined

  /** `uploadIdle`: milliseconds without a byte after which a body is abandoned. */
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

  /** Aborts all active requests: callers get `reason` as their response or as the last event of their stream. */
  abort(reason: ApiError): void {
    for (const context of this.#slots) context?.abort(reason)
  }

  /** Abandons bodies that are not complete, and from now on soon those that stop arriving. */
  abortUploads(reason: ApiError): void {
    this.#uploadIdle = Math.min(this.#uploadIdle, drainUploadIdle)
    for (const context of this.#slots) context?.abortUpload(reason)
    this.#planSweep()
  }

  /** One timer for all, not one a request. It runs as long as anything does. */
  #planSweep(): void {
    clearTimeout(this.#sweep)
    this.#sweep = setTimeout(() => this.#sweepUploads(), Math.min(this.#uploadIdle / 4, maxSweepInterval))
    this.#sweep.unref()
  }

  #sweepUploads(): void {
    this.#sweep = undefined
    if (this.count === 0) return
    const since = performance.now() - this.#uploadIdle
    for (const context of this.#slots) context?.abortUpload(uploadTimeout, since)
    this.#planSweep()
  }
}

/** Milliseconds. */
const maxSweepInterval = 5_000
const drainUploadIdle = 1_000

const uploadTimeout = invalidRequest('Timed out reading the request body.', {
  status: 408,
  code: 'request_timeout',
  headers: { connection: 'close' },
})

interface RequestLifecycleOptions {
  readonly events: Pick<Events, 'requestStarted' | 'requestFinished'>
  readonly active: ActiveRequests
  readonly bodies: BodyBudget
  readonly dialects: readonly Dialect[]
  /** True once the server is about to stop: responses then close their connections. */
  readonly stopping: () => boolean
}

/** Milliseconds that a stream has to report its end after its caller has disconnected. */
const disconnectGrace = 1000

/**
 * The outermost layer, and the only one that awaits the response: turns what was thrown into an error response, sets the headers that the
 * layers have added, and reports when the request is complete, which for a stream is its end.
 */
export function requestLifecycle(next: Next, { events, active, bodies, dialects, stopping }: RequestLifecycleOptions) {
  const dialectOf = ({ match, path }: RequestContext): Dialect => match?.dialect ?? dialectOfPath(path, dialects)
  const finish = (context: RequestContext): void => {
    active.delete(context)
    events.requestFinished(context)
  }
  return async (request: Request, context: RequestContext): Promise<Response> => {
    active.add(context)
    events.requestStarted()
    context.onComplete = finish
    context.bodyBudget = bodies
    let response: Response
    try {
      response = await next(request, context)
    } catch (thrown) {
      context.error = context.disconnected ? new ApiError('client_disconnected', 'The client disconnected.', { status: 499 }) : thrown
      response = toErrorResponse(toApiError(context.error, context.requestId, context.trace?.traceId), dialectOf(context))
    }
    context.status = response.status
    if (!context.streaming || context.streamEnded || context.error !== undefined) context.complete()
    else context.completeAfterDisconnect(disconnectGrace)
    if (stopping() || isUnreadChunked(request)) context.responseHeaders.push('connection', 'close')
    return withHeaders(response, context.responseHeaders)
  }
}

/** A body of unknown length that was not read: the runtime would receive and drop it for as long as the caller sends. */
function isUnreadChunked({ headers, bodyUsed }: Request): boolean {
  return headers.get('transfer-encoding') !== null && !bodyUsed
}

function withHeaders(response: Response, pairs: readonly string[]): Response {
  try {
    setHeaders(response.headers, pairs)
    return response
  } catch (error) {
    // The headers of `Response.redirect()` and of fetched responses cannot be changed.
    if (!(error instanceof TypeError)) throw error
    const copy = new Response(response.body, response)
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
