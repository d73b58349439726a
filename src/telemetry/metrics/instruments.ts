/** A metric: its OpenTelemetry name and unit, and how to aggregate it. */
export interface MetricDefinition {
  /** E.g. `gen_ai.server.request.duration`. */
  readonly name: string
  /** UCUM, e.g. `s`, `By`, `{token}`, `1`. */
  readonly unit: string
  /** `counter`: only increases. `updown`: a sum that increases and decreases. */
  readonly kind: 'counter' | 'updown' | 'gauge' | 'histogram'
  readonly description: string
  /** The attributes, in the order of every point's values. */
  readonly labels: readonly string[]
  /** Upper limits, each belonging to its bucket; histograms alone. */
  readonly buckets?: readonly number[] | undefined
  /** What the processes of one server make of their gauges together. Default: the sum. `latest`: what was observed last. */
  readonly aggregation?: 'sum' | 'max' | 'latest' | undefined
}

export interface HistogramValue {
  /** One for each bucket, and one above the last; not cumulative. */
  readonly counts: readonly number[]
  readonly sum: number
}

export interface MetricPoint {
  /** In the definition's order; empty: the attribute is absent. */
  readonly labels: readonly string[]
  readonly value: number | HistogramValue
  /** Unix milliseconds of the observation, for gauges of which the latest counts. */
  readonly at?: number | undefined
}

/** All values at one moment, by metric name. Survives JSON. */
export type MetricsSnapshot = Readonly<Record<string, readonly MetricPoint[]>>

/** What readers of metrics get: an exporter, the endpoint. */
export interface MetricReader {
  readonly definitions: readonly MetricDefinition[]
  /** Attributes of the resource: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>
  /** What this process has counted, now. */
  collect(): MetricsSnapshot
}

/** Replaces label values that are not distinguished. */
export const overflowLabel = 'other'

/** Label sets of one metric; what comes beyond is counted under `other`. */
export const maxSeries = 2_000

/** A number under one set of labels. */
export class CounterSeries {
  value = 0

  add(amount: number): void {
    this.value += amount
  }
}

/** Observations under one set of labels. */
export class HistogramSeries {
  readonly counts: number[]
  sum = 0
  count = 0
  readonly #limits: readonly number[]

  constructor(limits: readonly number[]) {
    this.#limits = limits
    this.counts = Array.from({ length: limits.length + 1 }, () => 0)
  }

  /** Ignores values that are not a number, or negative (a clock jumped). */
  observe(value: number): void {
    if (!(value >= 0 && value < Infinity)) return
    const limits = this.#limits
    let low = 0
    let high = limits.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (value <= (limits[middle] as number)) high = middle
      else low = middle + 1
    }
    this.counts[low] = (this.counts[low] as number) + 1
    this.sum += value
    this.count += 1
  }
}

/** One metric's series. `bind` is to be called once a label set, its result kept. */
export class MetricFamily<Series extends CounterSeries | HistogramSeries> {
  readonly definition: MetricDefinition
  readonly #make: () => Series
  readonly #series = new Map<string, { readonly labels: readonly string[]; readonly series: Series }>()

  constructor(definition: MetricDefinition, make: () => Series) {
    this.definition = definition
    this.#make = make
  }

  /** Label values in the definition's order. Beyond the most series, all share one. */
  bind(...labels: readonly string[]): Series {
    const key = labels.join('\u0000')
    const known = this.#series.get(key)
    if (known) return known.series
    if (this.#series.size >= maxSeries - 1) return this.#overflow()
    const series = this.#make()
    this.#series.set(key, { labels, series })
    return series
  }

  #overflow(): Series {
    const labels = this.definition.labels.map(() => overflowLabel)
    const key = labels.join('\u0000')
    const entry = this.#series.get(key) ?? { labels, series: this.#make() }
    this.#series.set(key, entry)
    return entry.series
  }

  /** Without histograms of nothing: most are bound before anything is observed, and each is many lines. */
  points(): MetricPoint[] {
    const reported = [...this.#series.values()].filter(({ series }) => series instanceof CounterSeries || series.count > 0)
    return reported.map(({ labels, series }) => ({ labels, value: valueOf(series) }))
  }
}

function valueOf(series: CounterSeries | HistogramSeries): number | HistogramValue {
  return series instanceof CounterSeries ? series.value : { counts: [...series.counts], sum: series.sum }
}

/** Reads values at collection. */
export type ReadPoints = () => readonly MetricPoint[]

/** The metrics of one process. */
export class Instruments {
  readonly definitions: readonly MetricDefinition[]
  readonly #byName: ReadonlyMap<string, MetricDefinition>
  readonly #families = new Map<string, MetricFamily<CounterSeries | HistogramSeries>>()
  readonly #readers = new Map<string, ReadPoints[]>()
  readonly #onFailure: (error: unknown) => void

  constructor(definitions: readonly MetricDefinition[], onFailure: (error: unknown) => void) {
    this.definitions = definitions
    this.#byName = new Map(definitions.map((definition) => [definition.name, definition]))
    this.#onFailure = onFailure
  }

  counter(name: string): MetricFamily<CounterSeries> {
    return this.#add(new MetricFamily(this.#definition(name), () => new CounterSeries()))
  }

  histogram(name: string): MetricFamily<HistogramSeries> {
    const definition = this.#definition(name)
    return this.#add(new MetricFamily(definition, () => new HistogramSeries(definition.buckets ?? [])))
  }

  /** Further values of a metric, read whenever it is collected. */
  observe(name: string, read: ReadPoints): void {
    this.#definition(name)
    const readers = this.#readers.get(name) ?? []
    readers.push(read)
    this.#readers.set(name, readers)
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** A failing reader is omitted, and its failure reported. */
  collect(): MetricsSnapshot {
    const snapshot: Record<string, readonly MetricPoint[]> = {}
    for (const { name } of this.definitions) {
      const points = [...(this.#families.get(name)?.points() ?? []), ...(this.#readers.get(name) ?? []).flatMap((read) => this.#read(read))]
      if (points.length > 0) snapshot[name] = points
    }
    return snapshot
  }

  #read(read: ReadPoints): readonly MetricPoint[] {
    try {
      return read()
    } catch (error) {
      this.#onFailure(error)
      return []
    }
  }

  #definition(name: string): MetricDefinition {
    const definition = this.#byName.get(name)
    if (!definition) throw new Error(`There is no metric '${name}'.`)
    return definition
  }

  #add<F extends MetricFamily<CounterSeries> | MetricFamily<HistogramSeries>>(family: F): F {
    this.#families.set(family.definition.name, family)
    return family
  }
}
