import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { defaultTelemetry, samplers, type TelemetryConfig, type TraceStoreConfig } from '../telemetry/config.ts'
import { readProxies } from '../egress/proxies.ts'
import { createRedactor } from '../text/redactor.ts'
import { OtelEnvironment } from './otel-environment.ts'
import { readOtlp } from './otlp.ts'
import { llamaStackTelemetrySchema, type TelemetrySection, telemetrySchema } from './schema-telemetry.ts'
import { expandHome, type Substitution, substitute } from './substitute.ts'
import { child, holdsNothing, type MapNode, textOf, type TreeNode } from './tree.ts'
import { type Strictness, validate } from './validate.ts'

interface TelemetryContext extends Substitution {
  readonly strictness: Strictness
  readonly cwd: string
  /** Absolute. */
  readonly corralHome: string
  readonly offline?: boolean | undefined
}

/** Reads `telemetry:`, the older `providers.telemetry` of Llama Stack, and OpenTelemetry's variables, which count more than both. */
export function readTelemetry(root: MapNode, context: TelemetryContext): TelemetryConfig {
  const section = child(root, 'telemetry')
  const expanded = section && !holdsNothing(section) ? substitute(section, context) : undefined
  const values: TelemetrySection =
    (expanded && !holdsNothing(expanded) ? validate(expanded, telemetrySchema, { ...context, strictness: 'strict' }) : undefined) ?? {}
  const llamaStack = readLlamaStackTelemetry(root, context)
  const otel = new OtelEnvironment(context.env, context.report)
  const { traces: defaults } = defaultTelemetry
  const { traces, metrics } = values
  const off = otel.flag('OTEL_SDK_DISABLED') === true || values.enabled === false
  const using = { ...context, otel, written: values.otlp, llamaStack, proxies: readProxies(context.env) }
  const sampler =
    otel.choice(['OTEL_TRACES_SAMPLER'], samplers) ??
    traces?.sampler ??
    (typeof traces?.ratio === 'number' ? 'parentbased_traceidratio' : undefined)
  const counts = { min: 1, max: 1_000_000 }
  return {
    conventions: otel
      .text('OTEL_SEMCONV_STABILITY_OPT_IN')
      ?.split(',')
      .some((one) => one.trim() === latestConventions)
      ? 'latest'
      : 'v1_41',
    resource: resourceOf(values, llamaStack?.serviceName, otel),
    traces: {
      enabled: !off && traces?.enabled !== false,
      sampler: sampler ?? defaults.sampler,
      ratio: otel.number(['OTEL_TRACES_SAMPLER_ARG'], { min: 0, max: 1 }) ?? traces?.ratio ?? defaults.ratio,
      exporter: traces?.enabled === false ? undefined : readOtlp('traces', traces?.exporter, using),
      captureContent: capturesContent(otel) ?? traces?.capture_content ?? false,
      maxContentLength: traces?.max_content_length ?? defaults.maxContentLength,
      passBaggage: traces?.pass_baggage ?? false,
      queueSize: otel.number(['OTEL_BSP_MAX_QUEUE_SIZE'], counts) ?? defaults.queueSize,
      batchSize: otel.number(['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'], counts) ?? defaults.batchSize,
      delay: otel.number(['OTEL_BSP_SCHEDULE_DELAY'], { min: 0, max: 600_000 }) ?? defaults.delay,
    },
    ...(!off && { store: readStore(values.store, llamaStack?.storePath, context) }),
    metrics: {
      enabled: !off && metrics?.enabled !== false,
      exporter: metrics?.enabled === false ? undefined : readOtlp('metrics', metrics?.exporter, using),
      public: metrics?.public ?? false,
      interval: otel.number(['OTEL_METRIC_EXPORT_INTERVAL'], { min: 100, max: 86_400_000 }) ?? metrics?.interval_ms ?? 60_000,
    },
    redact: readRedact(values.redact ?? [], child(expanded, 'redact') ?? root, context),
  }
}

/** Patterns are read once here, so that one that cannot be read stops the start. */
function readRedact(patterns: readonly string[], at: TreeNode, { report }: TelemetryContext): readonly string[] {
  for (const pattern of patterns) {
    try {
      createRedactor([pattern])
    } catch (error) {
      report.error(at, `${JSON.stringify(pattern)} cannot be used: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return patterns
}

const latestConventions = 'gen_ai_latest_experimental'

/** OpenTelemetry's spellings of later versions (`SPAN_ONLY` …) count too; events of content are not made. What is not understood means no content. */
function capturesContent(otel: OtelEnvironment): boolean | undefined {
  const name = 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT'
  const wanted = otel.text(name)?.toLowerCase()
  if (wanted === undefined) return undefined
  if (Object.hasOwn(contentModes, wanted)) return contentModes[wanted]
  otel.misread(name, `is not one of ${Object.keys(contentModes).join(', ')}: treated as 'false'`)
  return false
}

/** Whether content is part of spans, by the ways to ask for it. */
const contentModes: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  span_only: true,
  span_and_event: true,
  event_only: false,
  no_content: false,
}

function resourceOf(values: TelemetrySection, seedName: string | undefined, otel: OtelEnvironment): Record<string, string> {
  const attributes = { ...values.resource_attributes, ...otel.pairs('OTEL_RESOURCE_ATTRIBUTES') }
  const name = otel.text('OTEL_SERVICE_NAME') ?? attributes['service.name'] ?? values.service_name ?? seedName ?? 'corral'
  return { 'host.name': hostname(), ...attributes, 'service.name': name }
}

function readStore(
  values: TelemetrySection['store'],
  seedPath: string | undefined,
  context: TelemetryContext,
): TraceStoreConfig | undefined {
  if (!(values?.enabled ?? (values ? values.path !== undefined : seedPath !== undefined))) return undefined
  const written = values?.path ?? seedPath
  const path = written ? resolve(context.cwd, expandHome(written, context.home)) : join(context.corralHome, 'traces.db')
  return {
    path,
    limits: { maxAge: (values?.max_age_days ?? 7) * 86_400_000, maxBytes: Math.round((values?.max_size_mb ?? 512) * 1_048_576) },
    slowAfter: values?.slow_ms ?? 10_000,
  }
}

interface LlamaStackTelemetry {
  readonly serviceName?: string | undefined
  readonly storePath?: string | undefined
  readonly traces?: string | undefined
  readonly metrics?: string | undefined
}

/** The type that Llama Stack's own telemetry provider has. */
export const llamaStackTelemetryType = 'inline::meta-reference'

/** Llama Stack's `providers.telemetry`: its sinks `sqlite`, `otel_trace` and `otel_metric` are this server's store and exporters. */
function readLlamaStackTelemetry(root: MapNode, context: TelemetryContext): LlamaStackTelemetry | undefined {
  const config = llamaStackConfig(child(child(root, 'providers'), 'telemetry'))
  if (!config || holdsNothing(config)) return undefined
  const values = validate(substitute(config, context), llamaStackTelemetrySchema, context)
  if (!values) return undefined
  const sinks = typeof values.sinks === 'string' ? values.sinks.split(',') : (values.sinks ?? [])
  const has = (sink: string) => sinks.some((one) => one.trim() === sink)
  const root4318 = values.otel_exporter_otlp_endpoint?.replace(/\/$/, '')
  const url = (signal: string) => (root4318 ? `${root4318}/v1/${signal}` : undefined)
  // The Python server wrote its file in another format: ours is a separate file.
  const path = has('sqlite') ? values.sqlite_db_path : undefined
  return {
    serviceName: values.service_name?.replaceAll('\u200b', '') || undefined,
    storePath: path ? `${path.replace(/\.db$/, '')}.corral.db` : undefined,
    traces: has('otel_trace') ? (values.otel_trace_endpoint ?? url('traces')) : undefined,
    metrics: has('otel_metric') ? (values.otel_metric_endpoint ?? url('metrics')) : undefined,
  }
}

function llamaStackConfig(list: TreeNode | undefined): TreeNode | undefined {
  if (list?.kind !== 'list') return undefined
  const entry = list.items.find((item) => textOf(child(item, 'provider_type')) === llamaStackTelemetryType)
  return child(entry, 'config')
}
