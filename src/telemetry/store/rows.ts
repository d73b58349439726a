import type { AttributeValue, SpanRecord } from '../traces/span.ts'

/** A parameter of a statement. */
export type BoundValue = string | number | null

/** A request whose client disconnected is not a failure. */
const clientClosedRequest = 499

/** UTF-16 units of one span's attributes or events, as JSON; longer ones are left out. */
const maxJsonLength = 262_144

/** The span at the head of what was kept together. */
function rootOf({ kind, spanId, parentSpanId }: SpanRecord): string {
  return kind === 'client' ? (parentSpanId ?? spanId) : spanId
}

/** What keeps apart what different callers did under one trace id. */
export function partOf(span: SpanRecord): string {
  return span.kind === 'internal' ? `logged by ${span.owner.principalId ?? ''}` : rootOf(span)
}

/** In the order of `saveTrace` in statements.ts. */
export function traceParameters(span: SpanRecord): BoundValue[] {
  const { attributes, owner, kept, status } = span
  const text = (name: string) => asText(attributes[name])
  const number = (name: string) => asNumber(attributes[name])
  const httpStatus = number('http.response.status_code')
  const failed = kept === 'failed' || status === 'error' || (httpStatus !== null && httpStatus >= 400 && httpStatus !== clientClosedRequest)
  return [
    span.traceId,
    partOf(span),
    rootOf(span),
    span.name,
    span.start,
    span.end,
    status,
    failed ? 1 : 0,
    kept,
    httpStatus,
    text('http.route'),
    text('corral.model') ?? text('gen_ai.request.model'),
    text('corral.provider') ?? text('corral.upstream.provider'),
    owner.principalId ?? null,
    JSON.stringify(owner.attributes ?? {}),
    owner.keyId ?? null,
    owner.requestId,
    text('error.type'),
    number('gen_ai.usage.input_tokens'),
    number('gen_ai.usage.output_tokens'),
    number('corral.cost_usd'),
  ]
}

/** In the order of `saveSpan` in statements.ts. */
export function spanParameters(trace: number, span: SpanRecord): BoundValue[] {
  return [
    trace,
    span.spanId,
    span.parentSpanId ?? null,
    span.name,
    span.kind,
    span.start,
    span.end,
    span.status,
    span.statusMessage ?? null,
    bounded(JSON.stringify(span.attributes), '{"corral.left_out":"too long"}'),
    bounded(JSON.stringify(span.events ?? []), '[]'),
  ]
}

function bounded(json: string, otherwise: string): string {
  return json.length > maxJsonLength ? otherwise : json
}

function asText(value: AttributeValue | undefined): string | null {
  return typeof value === 'string' ? value : null
}

function asNumber(value: AttributeValue | undefined): number | null {
  return typeof value === 'number' ? value : null
}
