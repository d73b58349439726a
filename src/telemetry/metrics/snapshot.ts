/** What is known of one metric: its name and unit as OpenTelemetry has them, and how to read it. */
export interface MetricDefinition {
  /** E.g. `gen_ai.server.request.duration`. */
  readonly name: string
  /** UCUM, e.g. `s`, `By`, `{token}`, `1`. */
  readonly unit: string
  /** `counter`: only ever goes up. `updown`: a sum that goes up and down. */
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
  /** One for each bucket, and one for what is above them all; not cumulated. */
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
