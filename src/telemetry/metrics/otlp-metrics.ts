import { ValueType } from '@opentelemetry/api'
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AggregationTemporality, DataPointType, type MetricData } from '@opentelemetry/sdk-metrics'
import { toHrTime } from '../worker/otlp-spans.ts'
import type { MetricDefinition, HistogramValue, MetricPoint, MetricsSnapshot } from './instruments.ts'

interface MetricEncoderOptions {
  readonly resource: Readonly<Record<string, string>>
  readonly schemaUrl: string
  readonly version: string
  /** Unix milliseconds since when all is counted. */
  readonly startedAt: number
}

/** Encodes a snapshot as ExportMetricsServiceRequest with OpenTelemetry’s transformer. Cumulative: each message has everything since the start. */
export function createMetricEncoder(
  definitions: readonly MetricDefinition[],
  { resource: attributes, schemaUrl, version, startedAt }: MetricEncoderOptions,
): (snapshot: MetricsSnapshot, now: number) => Uint8Array {
  const resource = resourceFromAttributes({
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.version': '3.1.1',
    ...attributes,
  })
  const startTime = toHrTime(startedAt)
  return (snapshot, now) => {
    const times = { startTime, endTime: toHrTime(now) }
    const metrics = definitions.flatMap((definition) => {
      const points = snapshot[definition.name]
      return points && points.length > 0 ? [metricData(definition, points, times)] : []
    })
    const message = ProtobufMetricsSerializer.serializeRequest({
      resource,
      scopeMetrics: [{ scope: { name: 'corral', version, schemaUrl }, metrics }],
    })
    if (!message) throw new Error('The metrics could not be encoded.')
    return message
  }
}

interface Times {
  readonly startTime: [number, number]
  readonly endTime: [number, number]
}

function metricData(definition: MetricDefinition, points: readonly MetricPoint[], times: Times): MetricData {
  const { name, description, unit, kind, buckets = [] } = definition
  const common = {
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  if (kind === 'histogram') {
    const dataPoints = points.map((point) => ({
      ...times,
      attributes: attributesOf(definition, point),
      value: histogramOf(point.value as HistogramValue, buckets),
    }))
    return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints }
  }
  const dataPoints = points.map((point) => ({ ...times, attributes: attributesOf(definition, point), value: point.value as number }))
  if (kind === 'gauge') return { ...common, dataPointType: DataPointType.GAUGE, dataPoints }
  return { ...common, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: kind === 'counter' }
}

function attributesOf({ labels }: MetricDefinition, point: MetricPoint): Record<string, string> {
  return Object.fromEntries(labels.flatMap((label, at) => (point.labels[at] ? [[label, point.labels[at]]] : [])))
}

function histogramOf({ counts, sum }: HistogramValue, boundaries: readonly number[]) {
  const count = counts.reduce((total, one) => total + one, 0)
  return { buckets: { boundaries: [...boundaries], counts: [...counts] }, sum, count }
}
