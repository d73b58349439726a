import type { InferenceFinished, RequestFinished, SpanSink } from '../event-types.ts'
import { createWallClock, type WallClock } from './clock.ts'
import { inferenceSpan } from './inference-span.ts'
import { RequestTrace } from './request-trace.ts'
import type { Names } from './semconv.ts'
import { serverSpan } from './server-span.ts'
import type { RetentionReason, SpanRecord, TraceOwner } from './span.ts'

interface SpanSinkOptions {
  readonly names: Names
  /** UTF-16 units of one text of content, where that is wanted. Default 16384. */
  readonly contentLength?: number
  /** Takes the spans of one trace; never throws. */
  readonly take: (spans: readonly SpanRecord[]) => void
  /** Milliseconds from which a request is slow. Failed and slow requests are kept whatever the sampling. Absent: only sampled requests are kept. */
  readonly slowAfter?: number | undefined
  /** Called when a span cannot be made; never thrown. */
  readonly onFailure: (error: unknown) => void
  readonly wallClock?: WallClock
  readonly now?: () => number
}

/** Makes the spans of a request at its end: only then is it known whether it failed or was slow. */
export function createSpanSink(options: SpanSinkOptions): SpanSink {
  const {
    names,
    take,
    slowAfter,
    onFailure,
    wallClock = createWallClock(),
    now = () => performance.now(),
    contentLength = 16_384,
  } = options
  const retentionReasonOf = (event: RequestFinished, trace: RequestTrace, endedAt: number): RetentionReason | undefined => {
    if (trace.sampled) return 'sampled'
    if (slowAfter === undefined) return undefined
    if (event.failure !== undefined || (event.status >= 400 && event.status !== clientClosedRequest)) return 'failed'
    return endedAt - event.startedAt >= slowAfter ? 'slow' : undefined
  }
  return {
    requestFinished(event) {
      const { trace } = event
      if (!(trace instanceof RequestTrace) || trace.over !== undefined) return
      const { inferences } = trace
      trace.inferences = undefined
      try {
        const endedAt = now()
        const kept = isQuiet(event) ? undefined : retentionReasonOf(event, trace, endedAt)
        trace.over = kept ?? 'dropped'
        if (kept === undefined) return
        const owner = ownerOf(event)
        const spans = [serverSpan(event, { trace, kept, owner, wall: wallClock, endedAt, isOnlySpan: inferences === undefined })]
        // The cost of a request is reported once: with several inferences, by the server span.
        const cost = inferences?.length === 1 ? event.attempt?.costNanoDollars : undefined
        for (const inference of inferences ?? [])
          spans.push(inferenceSpan(inference, { trace, kept, owner, wall: wallClock, names, cost, contentLength }))
        take(spans)
      } catch (error) {
        onFailure(error)
      }
    },
    inferenceFinished(event) {
      const { trace } = event.call
      if (!(trace instanceof RequestTrace) || trace.over === 'dropped') return
      if (trace.over === undefined) {
        ;(trace.inferences ??= []).push(event)
        return
      }
      try {
        take([lateSpan(event, trace, trace.over)])
      } catch (error) {
        onFailure(error)
      }
    },
  }

  /** An inference that ended after its request: the client had disconnected. */
  function lateSpan(event: InferenceFinished, trace: RequestTrace, kept: RetentionReason): SpanRecord {
    return inferenceSpan(event, {
      trace,
      kept,
      owner: ownerOf(event.call),
      wall: wallClock,
      names,
      cost: event.call.record?.attempt?.costNanoDollars,
      contentLength,
    })
  }
}

/** The status in the log of a request whose client disconnected before the response. */
const clientClosedRequest = 499

/** Pages of the reference, and probes: traced only if they fail. */
const quietRoutes = new Set(['/docs', '/docs/{file}', '/openapi.json', '/readyz', '/metrics', '/v1/health', '/v1alpha/admin/health'])

function isQuiet({ route, status, path, request }: RequestFinished): boolean {
  if (path === '/favicon.ico') return true
  if (route === undefined || !(request.method === 'GET' || request.method === 'HEAD') || !quietRoutes.has(route)) return false
  return status < 500 || route.startsWith('/docs') || route === '/openapi.json'
}

function ownerOf({ requestId, principal }: Pick<RequestFinished, 'requestId' | 'principal'>): TraceOwner {
  return { requestId, principalId: principal?.id, keyId: principal?.key?.id, attributes: principal?.attributes }
}
