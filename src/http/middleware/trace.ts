import type { TraceContexts } from '../../telemetry/traces/trace-context.ts'
import type { Middleware } from './middleware.ts'

/**
 * Gives the request its place in a trace, by the caller's `traceparent` where that is well-formed, and returns the trace's id as `x-trace-id`. What is
 * recorded of it is decided at its end.
 */
export function trace(contexts: TraceContexts): Middleware {
  return (request, context, next) => {
    const { headers } = request
    const place = contexts(headers.get('traceparent'), headers)
    context.trace = place
    context.responseHeaders.push('x-trace-id', place.traceId)
    return next(request, context)
  }
}
