import type { MetricDefinition, MetricsSnapshot } from '../../../src/telemetry/metrics/instruments.ts'

/** Every metric once, with a value for every label. */
export function everything(definitions: readonly MetricDefinition[]): MetricsSnapshot {
  return Object.fromEntries(definitions.map((definition) => [definition.name, pointsOf(definition)]))
}

function pointsOf({ kind, labels, buckets = [] }: MetricDefinition) {
  const value = kind === 'histogram' ? { counts: [...buckets.map(() => 1), 1], sum: 2 } : 1
  return [{ labels: labels.map(() => 'some'), value }]
}
