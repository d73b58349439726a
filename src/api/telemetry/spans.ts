import type { QueryCondition, SpanInfo, SpanWithStatusInfo, TraceInfo } from '../../schemas/telemetry.ts'
import type { StoredSpan, StoredTrace } from '../../telemetry/store/reader.ts'

export interface SpanOfTrace extends StoredSpan {
  readonly traceId: string
}

/** The trace of one trace id, from its rows. */
export function toTrace(rows: readonly StoredTrace[]): TraceInfo {
  const first = rows.reduce((earliest, row) => (row.start < earliest.start ? row : earliest))
  return {
    trace_id: first.traceId,
    root_span_id: first.rootSpanId,
    start_time: new Date(first.start).toISOString(),
    end_time: new Date(Math.max(...rows.map(({ end }) => end))).toISOString(),
  }
}

/** With the attributes that are named; undefined: all. */
export function toSpan(span: SpanOfTrace, wanted?: readonly string[]): SpanInfo {
  return {
    span_id: span.spanId,
    trace_id: span.traceId,
    ...(span.parentSpanId !== null && { parent_span_id: span.parentSpanId }),
    name: span.name,
    start_time: new Date(span.start).toISOString(),
    end_time: new Date(span.end).toISOString(),
    attributes: wanted
      ? Object.fromEntries(wanted.filter((name) => Object.hasOwn(span.attributes, name)).map((name) => [name, span.attributes[name]]))
      : { ...span.attributes },
  }
}

export function toSpanWithStatus(span: SpanOfTrace, wanted?: readonly string[]): SpanWithStatusInfo {
  return { ...toSpan(span, wanted), status: span.status === 'error' ? 'error' : 'ok' }
}

/** Whether the attributes of one span meet every condition. What is absent equals nothing, and is unequal to everything. */
export function meetsAll({ attributes }: Pick<StoredSpan, 'attributes'>, conditions: readonly QueryCondition[]): boolean {
  return conditions.every(({ key, op, value }) => {
    const own: unknown = Object.hasOwn(attributes, key) ? attributes[key] : null
    if (op === 'eq') return isEqual(own, value)
    if (op === 'ne') return !isEqual(own, value)
    if (typeof own === 'number' && typeof value === 'number') return op === 'gt' ? own > value : own < value
    if (typeof own === 'string' && typeof value === 'string') return op === 'gt' ? own > value : own < value
    return false
  })
}

function isEqual(own: unknown, value: unknown): boolean {
  return own === value || JSON.stringify(own) === JSON.stringify(value ?? null)
}

/** The span and what is under it, as far down as `maxDepth` (0: itself alone). */
export function below(spans: readonly SpanOfTrace[], spanId: string, maxDepth = Infinity): SpanOfTrace[] {
  const children = Map.groupBy(spans, ({ parentSpanId }) => parentSpanId)
  const found = new Map<string, SpanOfTrace>()
  let level = spans.filter((span) => span.spanId === spanId)
  for (let depth = 0; level.length > 0 && depth <= maxDepth; depth += 1) {
    for (const span of level) found.set(span.spanId, span)
    level = level.flatMap((span) => children.get(span.spanId) ?? []).filter((span) => !found.has(span.spanId))
  }
  return [...found.values()]
}
