import { z } from 'zod'

const dateTime = z.iso.datetime({ offset: true, local: true })

const queryCondition = z
  .object({
    key: z.string().max(256).meta({ description: 'The name of the attribute.' }),
    op: z.enum(['eq', 'ne', 'gt', 'lt']).meta({ id: 'QueryConditionOp' }),
    value: z.unknown().meta({ description: 'The value to compare with.' }),
  })
  .meta({ id: 'QueryCondition' })
export type QueryCondition = z.output<typeof queryCondition>

const attributeFilters = z.array(queryCondition).max(32)
const attributeNames = z.array(z.string().max(256)).max(128)
const depth = z.int().min(0).max(1_000)

export const queryTracesRequest = z
  .object({
    attribute_filters: attributeFilters.nullish().meta({ description: 'Conditions that a single span of the trace matches.' }),
    limit: z.int().min(1).max(1_000).nullish().meta({ description: 'Default 100.' }),
    offset: z.int().min(0).max(100_000).nullish(),
    order_by: z
      .array(z.enum(['start_time', '-start_time']))
      .max(1)
      .nullish()
      .meta({ description: '`start_time`: the oldest first. `-start_time`, the default: the newest first.' }),
  })
  .meta({ id: 'QueryTracesRequest' })
export type QueryTraces = z.output<typeof queryTracesRequest>

export const trace = z
  .object({ trace_id: z.string(), root_span_id: z.string(), start_time: dateTime, end_time: dateTime.optional() })
  .meta({ id: 'Trace' })
export type TraceInfo = z.output<typeof trace>
export const traceList = z.object({ data: z.array(trace) }).meta({ id: 'QueryTracesResponse' })

const spanFields = {
  span_id: z.string(),
  trace_id: z.string(),
  parent_span_id: z.string().optional(),
  name: z.string(),
  start_time: dateTime,
  end_time: dateTime.optional(),
  attributes: z.record(z.string(), z.unknown()).optional(),
}
const spanStatus = z.enum(['ok', 'error']).meta({ id: 'SpanStatus' })

export const span = z.object(spanFields).meta({ id: 'Span' })
export type SpanInfo = z.output<typeof span>
const spanWithStatus = z.object({ ...spanFields, status: spanStatus.optional() }).meta({ id: 'SpanWithStatus' })
export type SpanWithStatusInfo = z.output<typeof spanWithStatus>

export const querySpansRequest = z
  .object({ attribute_filters: attributeFilters, attributes_to_return: attributeNames, max_depth: depth.nullish() })
  .meta({ id: 'QuerySpansRequest' })
export type QuerySpans = z.output<typeof querySpansRequest>
export const spanList = z.object({ data: z.array(span) }).meta({ id: 'QuerySpansResponse' })

export const spanTreeRequest = z
  .object({ attributes_to_return: attributeNames.nullish(), max_depth: depth.nullish() })
  .meta({ id: 'GetSpanTreeRequest' })
export type SpanTreeRequest = z.output<typeof spanTreeRequest>
export const spanTree = z.object({ data: z.record(z.string(), spanWithStatus) }).meta({ id: 'QuerySpanTreeResponse' })

export const queryMetricsRequest = z
  .object({
    start_time: z.int().min(0).max(100_000_000_000).meta({ description: 'Unix seconds.' }),
    end_time: z.int().min(0).max(100_000_000_000).nullish().meta({ description: 'Unix seconds; default now.' }),
    granularity: z
      .string()
      .max(16)
      .nullish()
      .meta({ description: 'For `range`: what a point sums, e.g. `30s`, `5m`, `1h`, `1d`. Default: a point for each request.' }),
    query_type: z.enum(['range', 'instant']).meta({ description: '`instant`: one sum a series.' }),
    label_matchers: z
      .array(
        z
          .object({ name: z.string().max(128), value: z.string().max(1_024), operator: z.enum(['=', '!=', '=~', '!~']).default('=') })
          .meta({ id: 'MetricLabelMatcher' }),
      )
      .max(32)
      .nullish(),
  })
  .meta({ id: 'QueryMetricsRequest' })
export type QueryMetrics = z.output<typeof queryMetricsRequest>

const metricPoint = z.object({ timestamp: z.int(), value: z.number(), unit: z.string() }).meta({ id: 'MetricDataPoint' })
const metricSeries = z
  .object({
    metric: z.string(),
    labels: z.array(z.object({ name: z.string(), value: z.string() }).meta({ id: 'MetricLabel' })),
    values: z.array(metricPoint),
  })
  .meta({ id: 'MetricSeries' })
export type MetricSeriesInfo = z.output<typeof metricSeries>
export const metricList = z.object({ data: z.array(metricSeries) }).meta({ id: 'QueryMetricsResponse' })

const eventFields = {
  trace_id: z.string().regex(/^[\w-]{1,64}$/),
  span_id: z.string().regex(/^[\w-]{1,64}$/),
  timestamp: dateTime,
  attributes: z.record(z.string().max(256), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullish(),
}

const telemetryEvent = z
  .discriminatedUnion('type', [
    z
      .object({
        ...eventFields,
        type: z.literal('unstructured_log'),
        message: z.string(),
        severity: z.enum(['verbose', 'debug', 'info', 'warn', 'error', 'critical']).meta({ id: 'LogSeverity' }),
      })
      .meta({ id: 'UnstructuredLogEvent' }),
    z
      .object({ ...eventFields, type: z.literal('metric'), metric: z.string().max(256), value: z.number(), unit: z.string().max(64) })
      .meta({ id: 'MetricEvent' }),
    z
      .object({
        ...eventFields,
        type: z.literal('structured_log'),
        payload: z.discriminatedUnion('type', [
          z
            .object({ type: z.literal('span_start'), name: z.string().max(512), parent_span_id: z.string().max(64).nullish() })
            .meta({ id: 'SpanStartPayload' }),
          z.object({ type: z.literal('span_end'), status: spanStatus }).meta({ id: 'SpanEndPayload' }),
        ]),
      })
      .meta({ id: 'StructuredLogEvent' }),
  ])
  .meta({ id: 'Event' })
export type TelemetryEvent = z.output<typeof telemetryEvent>

export const logEventRequest = z
  .object({
    event: telemetryEvent,
    ttl_seconds: z
      .int()
      .min(0)
      .max(100_000_000_000)
      .nullish()
      .meta({ description: 'Accepted for compatibility, ignored. The store has one retention period.' }),
  })
  .meta({ id: 'LogEventRequest' })
