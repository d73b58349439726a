import type { MetricDefinition, HistogramValue, MetricPoint, MetricsSnapshot } from './instruments.ts'

/** What several processes have counted, as one: sums, and of gauges what their definition says. Unknown metrics are left out. */
export function merge(snapshots: readonly MetricsSnapshot[], definitions: readonly MetricDefinition[]): MetricsSnapshot {
  const merged: Record<string, readonly MetricPoint[]> = {}
  for (const definition of definitions) {
    const points = snapshots.flatMap((snapshot) => snapshot[definition.name] ?? [])
    if (points.length > 0) merged[definition.name] = mergePoints(points, definition)
  }
  return merged
}

/** What stays true of a process that is gone: what it counted, not what it was. */
export function cumulativeIn(snapshot: MetricsSnapshot, definitions: readonly MetricDefinition[]): MetricsSnapshot {
  const kept = definitions.filter(({ kind }) => kind === 'counter' || kind === 'histogram')
  return Object.fromEntries(kept.flatMap(({ name }) => (snapshot[name] ? [[name, snapshot[name]]] : [])))
}

function mergePoints(points: readonly MetricPoint[], definition: MetricDefinition): MetricPoint[] {
  const bySet = new Map<string, MetricPoint>()
  for (const point of points) {
    const key = point.labels.join('\u0000')
    const known = bySet.get(key)
    bySet.set(key, known ? combine(known, point, definition) : point)
  }
  return [...bySet.values()]
}

function combine(a: MetricPoint, b: MetricPoint, { aggregation }: MetricDefinition): MetricPoint {
  if (aggregation === 'latest') return (b.at ?? 0) >= (a.at ?? 0) ? b : a
  if (typeof a.value === 'number' && typeof b.value === 'number') {
    return { ...a, value: aggregation === 'max' ? Math.max(a.value, b.value) : a.value + b.value }
  }
  return { ...a, value: addHistograms(a.value as HistogramValue, b.value as HistogramValue) }
}

function addHistograms(a: HistogramValue, b: HistogramValue): HistogramValue {
  return { counts: a.counts.map((count, at) => count + (b.counts[at] ?? 0)), sum: a.sum + b.sum }
}
