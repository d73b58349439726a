import { invalidRequest } from '../../errors.ts'
import type { MetricSeriesInfo, QueryMetrics } from '../../schemas/telemetry.ts'
import type { StoredTrace } from '../../telemetry/store/reader.ts'

interface StoredMetric {
  readonly unit: string
  of(trace: StoredTrace): number | null
}

/** Metrics that are computed from stored requests. The first three are Llama Stack's. */
const metrics: Readonly<Record<string, StoredMetric>> = {
  prompt_tokens: { unit: 'tokens', of: ({ inputTokens }) => inputTokens },
  completion_tokens: { unit: 'tokens', of: ({ outputTokens }) => outputTokens },
  total_tokens: {
    unit: 'tokens',
    of: ({ inputTokens, outputTokens }) =>
      inputTokens === null && outputTokens === null ? null : (inputTokens ?? 0) + (outputTokens ?? 0),
  },
  cost_usd: { unit: 'usd', of: ({ costUsd }) => costUsd },
  duration_ms: { unit: 'ms', of: ({ start, end }) => end - start },
  requests: { unit: 'requests', of: () => 1 },
}

export const metricNames = Object.keys(metrics)

/** Points in one response. */
const maxPoints = 10_000

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }

/** Sums what is added, one series for each model of each provider. Throws ApiError 400 for an invalid query. */
export class MetricSums {
  readonly #name: string
  readonly #metric: StoredMetric
  readonly #query: QueryMetrics
  /** Seconds; undefined: a point for each request. */
  readonly #step: number | undefined
  readonly #matches: (labels: MetricLabels) => boolean
  readonly #series = new Map<string, { readonly labels: MetricLabels; readonly points: Map<number, number> }>()
  #points = 0

  constructor(name: string, query: QueryMetrics) {
    const metric = Object.hasOwn(metrics, name) ? metrics[name] : undefined
    if (!metric) throw invalidRequest(`Unknown metric. Available metrics: ${metricNames.join(', ')}.`, { param: 'metric_name' })
    this.#name = name
    this.#metric = metric
    this.#query = query
    this.#step = query.query_type === 'instant' || query.granularity == null ? undefined : stepOf(query.granularity)
    this.#matches = matcherOf(query.label_matchers ?? [])
  }

  add(trace: StoredTrace): void {
    const value = this.#metric.of(trace)
    const labels: MetricLabels = { model_id: trace.model ?? '', provider_id: trace.provider ?? '' }
    if (value === null || !this.#matches(labels)) return
    const key = JSON.stringify(labels)
    let series = this.#series.get(key)
    if (!series) this.#series.set(key, (series = { labels, points: new Map() }))
    const time = this.#timeOf(trace)
    const sum = series.points.get(time)
    if (sum === undefined && (this.#points += 1) > maxPoints) {
      throw invalidRequest(`The query exceeds ${maxPoints} points. Use a shorter time range or a coarser granularity.`, {
        param: 'granularity',
      })
    }
    series.points.set(time, (sum ?? 0) + value)
  }

  result(): MetricSeriesInfo[] {
    return [...this.#series.values()].map(({ labels, points }) => ({
      metric: this.#name,
      labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
      values: [...points].toSorted(([a], [b]) => a - b).map(([timestamp, value]) => ({ timestamp, value, unit: this.#metric.unit })),
    }))
  }

  #timeOf({ start }: StoredTrace): number {
    const { query_type: type, start_time: from } = this.#query
    const seconds = Math.floor(start / 1_000)
    if (type === 'instant') return from
    return this.#step === undefined ? seconds : Math.floor(seconds / this.#step) * this.#step
  }
}

type MetricLabels = Readonly<Record<string, string>>

function stepOf(granularity: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(granularity) ?? []
  const step = Number(count) * (units[unit] ?? Number.NaN)
  if (step >= 1) return step
  throw invalidRequest("granularity must be a number followed by s, m, h, d or w, e.g. '1h'.", { param: 'granularity' })
}

/** Callers' regular expressions are not evaluated: only alternatives of literal text are supported. */
function matcherOf(matchers: NonNullable<QueryMetrics['label_matchers']>): (labels: MetricLabels) => boolean {
  const tests = matchers.map(({ name, value, operator }, index) => {
    const isPattern = operator === '=~' || operator === '!~'
    if (isPattern && /[\\^$.*+?()[\]{}]/.test(value)) {
      throw invalidRequest('Only literal alternatives separated by | are supported, not regular expressions.', {
        param: `label_matchers[${index}].value`,
      })
    }
    const values = new Set(isPattern ? value.split('|') : [value])
    const wanted = operator === '=' || operator === '=~'
    return (labels: MetricLabels) => values.has(labels[name] ?? '') === wanted
  })
  return (labels) => tests.every((test) => test(labels))
}
