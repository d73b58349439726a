import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import {
  logEventRequest,
  metricList,
  queryMetricsRequest,
  querySpansRequest,
  queryTracesRequest,
  span,
  spanList,
  spanTree,
  spanTreeRequest,
  trace,
  traceList,
} from '../../schemas/telemetry.ts'
import { defineRoute } from '../define.ts'
import { metricNames } from './metrics.ts'
import type { TraceQueries } from './service.ts'

const common = { api: 'telemetry', tag: 'Telemetry' } as const
const requiresScope =
  'Requires the scope `telemetry.read` where authentication is configured. Callers see their own traces, and others that the access policy permits (`trace::…`).'

const traceId = z.string().max(64)
const spanId = z.string().max(64)

export const queryTraces = defineRoute({
  ...common,
  method: 'POST',
  path: '/v1alpha/telemetry/traces',
  aliases: ['/v1/telemetry/traces'],
  operationId: 'queryTraces',
  summary: 'Query traces',
  description: `Lists traces of the local store. ${requiresScope}`,
  body: queryTracesRequest,
  responses: { 200: { description: 'OK', json: traceList } },
  handle: async ({ body, call }, { traces }) => ({ data: await requireTraces(traces).traces(call, body) }),
})

export const getTrace = defineRoute({
  ...common,
  method: 'GET',
  path: '/v1alpha/telemetry/traces/{trace_id}',
  aliases: ['/v1/telemetry/traces/{trace_id}'],
  operationId: 'getTrace',
  summary: 'Get a trace by its id',
  description: requiresScope,
  params: z.object({ trace_id: traceId }),
  responses: { 200: { description: 'OK', json: trace } },
  handle: ({ params, call }, { traces }) => requireTraces(traces).trace(call, params.trace_id),
})

export const getSpan = defineRoute({
  ...common,
  method: 'GET',
  path: '/v1alpha/telemetry/traces/{trace_id}/spans/{span_id}',
  aliases: ['/v1/telemetry/traces/{trace_id}/spans/{span_id}'],
  operationId: 'getSpan',
  summary: 'Get a span by its id',
  description: requiresScope,
  params: z.object({ trace_id: traceId, span_id: spanId }),
  responses: { 200: { description: 'OK', json: span } },
  handle: ({ params, call }, { traces }) => requireTraces(traces).span(call, params.trace_id, params.span_id),
})

export const querySpans = defineRoute({
  ...common,
  method: 'POST',
  path: '/v1alpha/telemetry/spans',
  aliases: ['/v1/telemetry/spans'],
  operationId: 'querySpans',
  summary: 'Query spans',
  description: `The spans of the newest hundred traces in which a span matches the conditions; spans without a requested attribute are omitted. ${requiresScope}`,
  body: querySpansRequest,
  responses: { 200: { description: 'OK', json: spanList } },
  handle: async ({ body, call }, { traces }) => ({ data: await requireTraces(traces).spans(call, body) }),
})

export const getSpanTree = defineRoute({
  ...common,
  method: 'POST',
  path: '/v1alpha/telemetry/spans/{span_id}/tree',
  aliases: ['/v1/telemetry/spans/{span_id}/tree'],
  operationId: 'getSpanTree',
  summary: 'Get a span and its descendants',
  description: requiresScope,
  params: z.object({ span_id: spanId }),
  body: spanTreeRequest,
  responses: { 200: { description: 'The spans by their ids.', json: spanTree } },
  handle: async ({ params, body, call }, { traces }) => ({ data: await requireTraces(traces).tree(call, params.span_id, body) }),
})

export const queryMetrics = defineRoute({
  ...common,
  method: 'POST',
  path: '/v1alpha/telemetry/metrics/{metric_name}',
  aliases: ['/v1/telemetry/metrics/{metric_name}'],
  operationId: 'queryMetrics',
  summary: 'Query metrics of stored traces',
  description: `Sums over the stored requests, by \`model_id\` and \`provider_id\`: ${metricNames.map((name) => `\`${name}\``).join(', ')}. Does not include requests that were not sampled: see \`/metrics\` and \`corral usage\`. ${requiresScope}`,
  params: z.object({ metric_name: z.string().max(128) }),
  body: queryMetricsRequest,
  responses: { 200: { description: 'OK', json: metricList } },
  handle: async ({ params, body, call }, { traces }) => ({ data: await requireTraces(traces).metrics(call, params.metric_name, body) }),
})

export const logEvent = defineRoute({
  ...common,
  method: 'POST',
  path: '/v1/telemetry/events',
  operationId: 'logEvent',
  summary: 'Log an event',
  description: 'Adds a log record, a measurement, or the start or end of a span to one of the caller’s traces in the local store.',
  body: logEventRequest,
  maxBodyBytes: 65_536,
  responses: { 200: { description: 'OK' } },
  handle({ body, call }, { traces }) {
    requireTraces(traces).log(call, body.event)
    return Response.json(null)
  },
})

function requireTraces(traces: TraceQueries | undefined): TraceQueries {
  if (traces) return traces
  throw new ApiError('not_found_error', 'Trace storage is disabled. Enable it with telemetry.store.enabled.', {
    code: 'no_trace_store',
  })
}
