import type { Definition, HistogramValue, Point, Snapshot } from './snapshot.ts'

/** What several processes have counted, as one: sums, and of gauges what their definition says. Unknown metrics are left out. */
export function merge(snapshots: readonly Snapshot[], definitions: readonly Definition[]): Snapshot {
  const merged: Record<string, readonly Point[]> = {}
  for (const definition of definitions) {
    const points = snapshots.flatMap((snapshot) => snapshot[definition.name] ?? [])
    if (points.length > 0) merged[definition.name] = mergePoints(points, definition)
  }
  return merged
}

/** What stays true of a process that is gone: what it counted, not what it was. */
export function countedIn(snapshot: Snapshot, definitions: readonly Definition[]): Snapshot {
  const kept = definitions.filter(({ kind }) => kind === 'counter' || kind === 'histogram')
  return Object.fromEntries(kept.flatMap(({ name }) => (snapshot[name] ? [[name, snapshot[name]]] : [])))
}

function mergePoints(points: readonly Point[], definition: Definition): Point[] {
  const bySet = new Map<string, Point>()
  for (const point of points) {
    const key = point.labels.join('\u0000')
    const known = bySet.get(key)
    bySet.set(key, known ? together(known, point, definition) : point)
  }
  return [...bySet.values()]
}

function together(a: Point, b: Point, { together: how }: Definition): Point {
  if (how === 'latest') return (b.at ?? 0) >= (a.at ?? 0) ? b : a
  if (typeof a.value === 'number' && typeof b.value === 'number') {
    return { ...a, value: how === 'max' ? Math.max(a.value, b.value) : a.value + b.value }
  }
  return { ...a, value: addHistograms(a.value as HistogramValue, b.value as HistogramValue) }
}

function addHistograms(a: HistogramValue, b: HistogramValue): HistogramValue {
  return { counts: a.counts.map((count, at) => count + (b.counts[at] ?? 0)), sum: a.sum + b.sum }
}
