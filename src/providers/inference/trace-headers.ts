import type { CallTrace } from '../../call.ts'
import type { UpstreamTrace } from '../provider.ts'

/**
 * A request's trace for an upstream (W3C Trace Context, Baggage): the parent is the span of this one call of a model, never the caller's own. The
 * vendors' part of the context goes on as it came.
 */
export function traceHeaders({ traceId, sampled, state, baggage }: CallTrace, spanId: string): Record<string, string> {
  const headers: Record<string, string> = { traceparent: `00-${traceId}-${spanId}-${sampled ? '01' : '00'}` }
  if (state !== undefined) headers['tracestate'] = state
  if (baggage !== undefined) headers['baggage'] = baggage
  return headers
}

/** Host and port of a URL; undefined where it is none. */
export function endpointOf(url: string): UpstreamTrace['endpoint'] {
  const parsed = URL.parse(url)
  if (!parsed || parsed.hostname === '') return undefined
  const port = parsed.port === '' ? (parsed.protocol === 'http:' ? 80 : 443) : Number(parsed.port)
  return { address: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port }
}
