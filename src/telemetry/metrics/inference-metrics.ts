import { ApiError } from '../../errors.ts'
import type { Operation } from '../../operations/operation.ts'
import type { InferenceFinished, ReportedTokens } from '../event-types.ts'
import { metricNames, type TokenPart, tokenParts } from './definitions.ts'
import { type CounterSeries, type MetricFamily, type Instruments, type HistogramSeries, overflowLabel } from './instruments.ts'
import { ByModel, type ModelNames } from './model-labels.ts'
import { errorTypeOf } from './request-metrics.ts'
import type { Conventions } from '../config.ts'

interface InferenceMetricsOptions {
  readonly instruments: Instruments
  readonly conventions: Conventions
  readonly models: () => ModelNames
  /** `gen_ai.provider.name` of the configured providers, by id. */
  readonly providers: ReadonlyMap<string, string>
}

interface ClientSeries {
  /** By `error.type`. */
  readonly failed: (error: string) => HistogramSeries
  readonly succeeded: HistogramSeries
  readonly firstChunk: HistogramSeries
  readonly perChunk: HistogramSeries
  readonly input: HistogramSeries
  readonly output: HistogramSeries
  readonly parts: Readonly<Record<TokenPart, readonly CounterSeries[]>>
  readonly cost: CounterSeries
}

/** What providers do: `gen_ai.client.*`, tokens, cost, failures, health as it shows. */
export class InferenceMetrics {
  readonly #options: InferenceMetricsOptions
  readonly #byOperation = new Map<Operation, ByModel<ClientSeries>>()
  readonly #health = new Map<string, { up: number; at: number }>()
  readonly #listed = new Map<string, { models: number; at: number }>()
  readonly #families

  constructor(options: InferenceMetricsOptions) {
    this.#options = options
    const { instruments } = options
    const names = metricNames[options.conventions]
    const tokenHistogram = names.tokenUsage === undefined ? undefined : instruments.histogram(names.tokenUsage)
    this.#families = {
      duration: instruments.histogram(names.operationDuration),
      firstChunk: instruments.histogram(names.timeToFirstChunk),
      perChunk: instruments.histogram(names.timePerOutputChunk),
      input: tokenHistogram ?? instruments.histogram(names.inputTokens ?? ''),
      output: tokenHistogram ?? instruments.histogram(names.outputTokens ?? ''),
      /** Whether input and output share a metric, distinguished by `gen_ai.token.type`. */
      hasType: tokenHistogram !== undefined,
      usage: tokenParts.map((part) => (names.usage === undefined ? undefined : instruments.counter(`${names.usage}.${part}`))),
      tokens: instruments.counter('corral.tokens'),
      cost: instruments.counter('corral.cost'),
      failures: instruments.counter('corral.upstream.failures'),
      interrupted: instruments.counter('corral.streams.interrupted'),
    }
    instruments.observe('corral.provider.up', () => [...this.#health].map(([id, { up, at }]) => ({ labels: [id], value: up, at })))
    instruments.observe('corral.provider.models', () =>
      [...this.#listed].map(([id, { models, at }]) => ({ labels: [id], value: models, at })),
    )
  }

  finished(event: InferenceFinished): void {
    const { provider, operation, outcome, error, duration, firstToken, usage, call } = event
    const id = this.#options.providers.has(provider) ? provider : overflowLabel
    const series = (this.#byOperation.get(operation) ?? this.#addOperation(operation)).get(id, event.model)
    const seconds = duration / 1000
    if (outcome === 'failed' || outcome === 'truncated') this.#failed(id, series, event)
    else {
      series.succeeded.observe(seconds)
      if (outcome === 'completed') this.#setHealth(id, 1)
    }
    if (firstToken !== undefined) {
      series.firstChunk.observe(firstToken / 1000)
      const frames = chunksOf(event)
      if (frames > 1 && error === undefined) series.perChunk.observe((duration - firstToken) / 1000 / (frames - 1))
    }
    if (usage) countTokens(series, usage, operation)
    const cost = call.record?.attempt?.costNanoDollars
    if (cost !== undefined && cost > 0) series.cost.add(cost / 1e9)
  }

  /** A failure outside of any caller's request. */
  failure(provider: string, source: 'listing' | 'other'): void {
    const id = this.#options.providers.has(provider) ? provider : overflowLabel
    this.#families.failures.bind(id, source, '').add(1)
    this.#setHealth(id, 0)
  }

  listed(provider: string, models: number): void {
    if (!this.#options.providers.has(provider)) return
    this.#listed.set(provider, { models, at: Date.now() })
    this.#setHealth(provider, 1)
  }

  #failed(id: string, series: ClientSeries, { error, outcome, duration }: InferenceFinished): void {
    const type = errorTypeOf(error)
    series.failed(type).observe(duration / 1000)
    this.#families.failures.bind(id, 'inference', type).add(1)
    if (outcome === 'truncated') this.#families.interrupted.bind(id).add(1)
    // What the caller did wrong says nothing of the provider.
    const isProviderFailure = /^5\d\d$/.test(type) || (error instanceof ApiError && error.type === 'upstream_error')
    if (outcome === 'truncated' || isProviderFailure) this.#setHealth(id, 0)
  }

  #setHealth(id: string, up: 0 | 1): void {
    if (id === overflowLabel) return
    const known = this.#health.get(id)
    if (!known) this.#health.set(id, { up, at: Date.now() })
    else {
      known.up = up
      known.at = Date.now()
    }
  }

  #addOperation(operation: Operation): ByModel<ClientSeries> {
    const { models } = this.#options
    const added = new ByModel(
      (provider, upstream) => (models().catalogueIdOfTarget(provider, upstream) === undefined ? undefined : upstream),
      (provider, label) => this.#series(operation, provider, label),
    )
    this.#byOperation.set(operation, added)
    return added
  }

  #series(operation: Operation, provider: string, label: string): ClientSeries {
    const families = this.#families
    const { providers } = this.#options
    const name = provider === overflowLabel ? overflowLabel : (providers.get(provider) ?? provider)
    const set = [operation.genAiName, name, provider, label] as const
    const counters = (part: TokenPart, at: number): readonly CounterSeries[] => {
      const usage: MetricFamily<CounterSeries> | undefined = families.usage[at]
      const own = families.tokens.bind(provider, label, part)
      return usage ? [own, usage.bind(...set)] : [own]
    }
    return {
      failed: (error) => families.duration.bind(...set, error),
      succeeded: families.duration.bind(...set, ''),
      firstChunk: families.firstChunk.bind(...set),
      perChunk: families.perChunk.bind(...set),
      input: families.hasType ? families.input.bind(...set, 'input') : families.input.bind(...set),
      output: families.hasType ? families.output.bind(...set, 'output') : families.output.bind(...set),
      parts: Object.fromEntries(tokenParts.map((part, at) => [part, counters(part, at)])) as Record<TokenPart, readonly CounterSeries[]>,
      cost: families.cost.bind(provider, label),
    }
  }
}

function countTokens({ input, output, parts }: ClientSeries, usage: ReportedTokens, { producesText }: Operation): void {
  input.observe(usage.input)
  count(parts.input_tokens, usage.input)
  if (producesText) {
    output.observe(usage.output)
    count(parts.output_tokens, usage.output)
  }
  count(parts['cache_read.input_tokens'], usage.cached)
  count(parts['cache_write.input_tokens'], usage.cacheWrite)
  count(parts['reasoning.output_tokens'], usage.reasoning)
}

/** Providers may report any number. */
function count(counters: readonly CounterSeries[], tokens: number | undefined): void {
  if (tokens === undefined || !(tokens > 0 && tokens < Infinity)) return
  for (const counter of counters) counter.add(tokens)
}

function chunksOf({ reply }: InferenceFinished): number {
  return reply && 'frames' in reply && typeof reply.frames === 'number' ? reply.frames : 0
}
