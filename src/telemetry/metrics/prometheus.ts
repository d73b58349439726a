import type { MetricDefinition, HistogramValue, MetricPoint, MetricsSnapshot } from './instruments.ts'

type TextFormat = 'prometheus' | 'openmetrics'

export const contentTypes: Readonly<Record<TextFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** The format that an `accept` header prefers; Prometheus' own where it says nothing of either. */
export function formatFor(accept: string | null): TextFormat {
  let best: { format: TextFormat; weight: number } = { format: 'prometheus', weight: 0 }
  for (const entry of (accept ?? '').toLowerCase().split(',').slice(0, 32)) {
    const [type, ...parameters] = entry.split(';').map((part) => part.trim())
    const format = type === 'application/openmetrics-text' ? 'openmetrics' : type === 'text/plain' ? 'prometheus' : undefined
    if (!format) continue
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
    const weight = quality === undefined ? 1 : Number(quality)
    if (weight > best.weight) best = { format, weight }
  }
  return best.format
}

/** OpenTelemetry’s unit suffixes (specification “Prometheus and OpenMetrics Compatibility”); other units are used as they are. */
const unitWords: Readonly<Record<string, string>> = { s: 'seconds', ms: 'milliseconds', By: 'bytes', '1': 'ratio', '%': 'percent' }

/** The unit as it ends a metric's name; empty where there is none. */
function unitSuffix({ unit, kind }: Pick<MetricDefinition, 'unit' | 'kind'>): string {
  if (unit.startsWith('{') || (unit === '1' && kind !== 'gauge')) return ''
  return unitWords[unit] ?? unit
}

/** A metric's name without what each sample adds: `gen_ai.server.request.duration` in seconds is `gen_ai_server_request_duration_seconds`. */
export function prometheusName(definition: Pick<MetricDefinition, 'name' | 'unit' | 'kind'>): string {
  const name = labelName(definition.name)
  const suffix = unitSuffix(definition)
  return suffix === '' || name.endsWith(`_${suffix}`) ? name : `${name}_${suffix}`
}

/** Attribute names as labels: `gen_ai.request.model` is `gen_ai_request_model`. */
export function labelName(attribute: string): string {
  return attribute.replaceAll(/[^a-zA-Z0-9_]/g, '_')
}

/**
 * Values as text: Prometheus' text format 0.0.4, or OpenMetrics 1.0. `info` becomes the labels of `target_info`: the resource's attributes, as
 * OpenTelemetry's compatibility specification has it.
 */
export function toText(snapshot: MetricsSnapshot, definitions: readonly MetricDefinition[], { format, info }: TextOptions): string {
  const lines = infoLines(info, format)
  for (const definition of definitions) {
    const points = snapshot[definition.name]
    if (points && points.length > 0) addFamily(lines, definition, { points, format })
  }
  if (format === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

interface TextOptions {
  readonly format: TextFormat
  readonly info: Readonly<Record<string, string>>
}

function infoLines(info: TextOptions['info'], format: TextFormat): string[] {
  const labels = Object.entries(info).map(([name, value]) => `${labelName(name)}="${escaped(value)}"`)
  const name = format === 'openmetrics' ? 'target' : 'target_info'
  const type = format === 'openmetrics' ? 'info' : 'gauge'
  return [`# HELP ${name} Who serves these metrics.`, `# TYPE ${name} ${type}`, `target_info{${labels.join(',')}} 1`]
}

const types: Readonly<Record<MetricDefinition['kind'], string>> = {
  counter: 'counter',
  updown: 'gauge',
  gauge: 'gauge',
  histogram: 'histogram',
}

function addFamily(
  lines: string[],
  definition: MetricDefinition,
  { points, format }: { points: readonly MetricPoint[]; format: TextFormat },
): void {
  const name = prometheusName(definition)
  const sample = definition.kind === 'counter' ? `${name}_total` : name
  const family = format === 'openmetrics' ? name : sample
  const help = definition.description.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  lines.push(
    `# HELP ${family} ${format === 'openmetrics' ? help.replaceAll('"', '\\"') : help}`,
    `# TYPE ${family} ${types[definition.kind]}`,
  )
  const suffix = unitSuffix(definition)
  if (format === 'openmetrics' && suffix !== '') lines.push(`# UNIT ${family} ${suffix}`)
  const names = definition.labels.map(labelName)
  for (const { labels, value } of points) {
    const pairs = labels.flatMap((text, at) => (text === '' ? [] : [`${names[at]}="${escaped(text)}"`])).join(',')
    if (typeof value === 'number') lines.push(`${sample}${pairs === '' ? '' : `{${pairs}}`} ${numberText(value)}`)
    else addHistogram(lines, { name, pairs, value, limits: definition.buckets ?? [], format })
  }
}

interface HistogramLines {
  readonly name: string
  readonly pairs: string
  readonly value: HistogramValue
  readonly limits: readonly number[]
  readonly format: TextFormat
}

function addHistogram(lines: string[], { name, pairs, value, limits, format }: HistogramLines): void {
  const before = pairs === '' ? '' : `${pairs},`
  let count = 0
  limits.forEach((limit, at) => {
    count += value.counts[at] ?? 0
    lines.push(`${name}_bucket{${before}le="${limitText(limit, format)}"} ${count}`)
  })
  count += value.counts[limits.length] ?? 0
  const set = pairs === '' ? '' : `{${pairs}}`
  lines.push(`${name}_bucket{${before}le="+Inf"} ${count}`, `${name}_sum${set} ${numberText(value.sum)}`, `${name}_count${set} ${count}`)
}

/** OpenMetrics: bounds are written as floats. */
function limitText(limit: number, format: TextFormat): string {
  return format === 'openmetrics' && Number.isInteger(limit) ? `${limit}.0` : String(limit)
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
