import { ApiError } from '../../errors.ts'
import type { Events } from '../../telemetry/events.ts'
import { toApiError, toErrorResponse } from '../error-response.ts'
import type { RequestContext } from './context.ts'
import type { Next } from './middleware.ts'

/** The requests that are not over yet, streams included. */
export class RunningRequests {
  readonly #contexts = new Set<RequestContext>()

  get count(): number {
    return this.#contexts.size
  }

  add(context: RequestContext): void {
    this.#contexts.add(context)
  }

  delete(context: RequestContext): boolean {
    return this.#contexts.delete(context)
  }

  /** Gives up on what still runs: callers get `reason` as their answer or as the last event of their stream. */
  abort(reason: ApiError): void {
    for (const context of this.#contexts) context.abort(reason)
  }
}

export interface SettleOptions {
  readonly events: Events
  readonly running: RunningRequests
  /** True once the server is about to stop: callers are told to close their connections. */
  readonly stopping: () => boolean
}

/** Milliseconds that whoever streams gets to report the end by itself after its caller has left. */
const patience = 1000

/**
 * The outermost layer, and the only one that waits for the answer: turns what was thrown into an error answer, puts the headers
 * that the layers asked for on it, and tells when the request is over, which for a stream is its end.
 */
export function settle(next: Next, { events, running, stopping }: SettleOptions) {
  return async (request: Request, context: RequestContext): Promise<Response> => {
    running.add(context)
    const { notes } = context
    let answer: Response
    let error: unknown
    let finish: (() => void) | undefined
    // A short stream may end before its head has come this far.
    let ended = false
    notes.over = () => {
      ended = true
      finish?.()
    }
    try {
      answer = await next(request, context)
    } catch (thrown) {
      error = context.callerLeft ? new ApiError('client_left', 'The caller left.', { status: 499 }) : thrown
      answer = toErrorResponse(toApiError(error, context.requestId))
    }
    const { status } = answer
    let giveUp: ReturnType<typeof setTimeout> | undefined
    finish = () => {
      if (!running.delete(context)) return
      clearTimeout(giveUp)
      const { method, url } = request
      const left = context.callerLeft
      events.requestFinished({ call: context, method, path: pathOf(url), status, startedAt: context.startedAt, error, left })
    }
    if (!notes.streaming || ended || error !== undefined) finish()
    else context.whenCallerLeaves(() => (giveUp = setTimeout(() => finish?.(), patience)))
    if (stopping()) context.answerHeaders.push('connection', 'close')
    return withHeaders(answer, context.answerHeaders)
  }
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

function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('//') + 2)
  if (start < 0) return '/'
  const end = url.slice(start).search(/[?#]/)
  return end < 0 ? url.slice(start) : url.slice(start, start + end)
}
