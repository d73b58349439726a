import type { Call } from '../../call.ts'
import { invalidRequest, shortened } from '../../errors.ts'
import type { TelemetryEvent } from '../../schemas/telemetry.ts'
import type { AttributeValue, SpanRecord } from '../../telemetry/traces/span.ts'

/** Attributes of one event, and UTF-16 units of one text. */
const maxAttributes = 64
const maxTextLength = 4_096

/** Milliseconds that a caller's clock may be ahead: later times would outlive all other traces. */
const maxClockAhead = 300_000

/** What a caller logs as a piece of a span of its own; the store puts the pieces together. Throws ApiError 400. */
export function recordOf(event: TelemetryEvent, { requestId, principal }: Pick<Call, 'requestId' | 'principal'>, now: number): SpanRecord {
  const time = timeOf(event.timestamp)
  if (time > now + maxClockAhead || time < 0)
    throw invalidRequest('The timestamp is in the future or before 1970.', { param: 'event.timestamp' })
  const attributes = boundedAttributes(event.attributes ?? {})
  const record = {
    traceId: event.trace_id,
    spanId: event.span_id,
    name: '',
    kind: 'internal',
    start: time,
    end: time,
    attributes: {},
    status: 'unset',
    // Not the exporters': what is sent to a collector is this server's own word.
    sampled: false,
    kept: 'sampled',
    owner: { requestId, principalId: principal?.id, keyId: principal?.key?.id, attributes: principal?.attributes },
  } as const
  if (event.type === 'structured_log') {
    const { payload } = event
    if (payload.type === 'span_end') return { ...record, attributes, status: payload.status }
    return { ...record, attributes, name: payload.name, ...(payload.parent_span_id != null && { parentSpanId: payload.parent_span_id }) }
  }
  const fields =
    event.type === 'metric'
      ? { name: event.metric, attributes: { ...attributes, value: event.value, unit: event.unit } }
      : { name: 'log', attributes: { ...attributes, message: shortened(event.message, maxTextLength), severity: event.severity } }
  return { ...record, events: [{ time, ...fields }] }
}

/** A time without a zone is UTC, as Python's clients send it. */
function timeOf(text: string): number {
  return Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`)
}

function boundedAttributes(given: Readonly<Record<string, string | number | boolean | null>>): Record<string, AttributeValue> {
  const entries = Object.entries(given).slice(0, maxAttributes)
  return Object.fromEntries(
    entries.flatMap(([name, value]) =>
      value === null ? [] : [[name, typeof value === 'string' ? shortened(value, maxTextLength) : value]],
    ),
  )
}
