import { z } from 'zod'
import { samplers } from '../telemetry/config.ts'

const exporter = z.enum(['otlp', 'none']).nullish()

export const otlpSchema = z.strictObject({
  endpoint: z.string().nullish().describe('The collector’s address; `/v1/traces` and `/v1/metrics` are added.'),
  headers: z.record(z.string(), z.string()).nullish().describe('Sent with everything; values are secrets.'),
  timeout_ms: z.int().min(1).max(600_000).nullish().describe('How long one batch may take.'),
  compression: z.enum(['none', 'gzip']).nullish(),
  certificate: z.string().nullish().describe('PEM file of the collector’s authority.'),
  client_certificate: z.string().nullish(),
  client_key: z.string().nullish(),
})

export const tracesSchema = z.strictObject({
  enabled: z.boolean().nullish().describe('False: no span is made.'),
  exporter: exporter.describe('`otlp` where an endpoint is given, else `none`.'),
  sampler: z.enum(samplers).nullish(),
  ratio: z.number().min(0).max(1).nullish().describe('Of what begins here, for the samplers that take a share.'),
  capture_content: z.boolean().nullish().describe('Prompts and completions, in spans.'),
  max_content_length: z.int().min(1).max(1_048_576).nullish().describe('Characters of one message.'),
  pass_baggage: z.boolean().nullish().describe('Callers’ baggage is forwarded to upstreams.'),
})

export const traceStoreSchema = z.strictObject({
  enabled: z.boolean().nullish(),
  path: z.string().min(1, 'must not be empty').nullish().describe('An SQLite file; relative to the working directory.'),
  max_age_days: z.number().positive().max(3650).nullish(),
  max_size_mb: z.number().min(1).max(1_048_576).nullish(),
  slow_ms: z.number().min(0).nullish().describe('Requests that take at least this long are slow, and kept regardless of sampling.'),
})

export const metricsSchema = z.strictObject({
  enabled: z.boolean().nullish(),
  exporter,
  public: z.boolean().nullish().describe('True: `/metrics` is readable without a credential. False: it takes the scope `telemetry.read`.'),
  interval_ms: z.int().min(100).max(86_400_000).nullish().describe('Between two pushes.'),
})

export const telemetrySchema = z.strictObject({
  enabled: z.boolean().nullish().describe('False: neither traces nor metrics, as with `OTEL_SDK_DISABLED`. Default true.'),
  service_name: z.string().min(1, 'must not be empty').nullish(),
  resource_attributes: z.record(z.string(), z.string()).nullish(),
  otlp: otlpSchema.nullish().describe('The collector, for traces and metrics.'),
  traces: tracesSchema.nullish(),
  store: traceStoreSchema.nullish().describe('Traces on this machine.'),
  metrics: metricsSchema.nullish(),
  redact: z.array(z.string().min(1, 'must not be empty').max(1000)).max(100).nullish().describe('Patterns masked in captured content.'),
})
export type TelemetrySection = z.output<typeof telemetrySchema>

/** Llama Stack's provider of its `telemetry` API, which is this server's own business here. */
export const llamaStackTelemetrySchema = z.strictObject({
  service_name: z.string().nullish(),
  sinks: z.union([z.array(z.string()), z.string()]).nullish(),
  sqlite_db_path: z.string().nullish(),
  otel_exporter_otlp_endpoint: z.string().nullish(),
  otel_trace_endpoint: z.string().nullish(),
  otel_metric_endpoint: z.string().nullish(),
})
