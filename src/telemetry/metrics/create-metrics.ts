import type { Conventions, TelemetryConfig } from '../config.ts'
import type { Events } from '../events.ts'
import { definitionsOf } from './definitions.ts'
import { InferenceMetrics } from './inference-metrics.ts'
import { Instruments, type MetricReader, type MetricsSnapshot, type ReadPoints } from './instruments.ts'
import type { MetricSink } from '../event-types.ts'
import { noModelNames, type ModelNames } from './model-labels.ts'
import { addProcessMetrics } from './process-metrics.ts'
import { RequestMetrics } from './request-metrics.ts'

interface MetricsOptions {
  readonly conventions: Conventions
  /** Attributes of the resource: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>
  /** `gen_ai.provider.name` of the configured providers, by id. */
  readonly providers: ReadonlyMap<string, string>
  readonly scheme: 'http' | 'https'
  /** Called once when measuring fails; never thrown. */
  readonly onFailure: (error: unknown) => void
  /** Milliseconds for which readers share one snapshot. Default 250. */
  readonly cacheTime?: number
}

/** The metrics of this process, and of the server that it is part of. */
export interface Metrics extends MetricReader, Disposable {
  readonly sink: MetricSink
  /** Further values of a metric, read whenever it is collected. Throws an Error for a metric that is not defined. */
  observe(name: string, read: ReadPoints): void
  /** From now on models are known by this catalogue. */
  useCatalogue(models: ModelNames): void
  /** What the whole server has counted, no older than a fraction of a second: readers that come together share it. */
  scrape(): Promise<MetricsSnapshot>
  /** Where several processes serve: collects from all of them. */
  setGather(gather: () => Promise<MetricsSnapshot>): void
}

/** Measuring must not fail a request: the first failure is reported, others are ignored. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { conventions, resource, providers, scheme } = options
  let { cacheTime = 250 } = options
  let hasReportedFailure = false
  const reportFailure = (error: unknown): void => {
    if (!hasReportedFailure) options.onFailure(error)
    hasReportedFailure = true
  }
  const guarded = (measure: () => void): void => {
    try {
      measure()
    } catch (error) {
      reportFailure(error)
    }
  }
  const instruments = new Instruments(definitionsOf(conventions), reportFailure)
  let known = noModelNames
  const models = (): ModelNames => known
  const requests = new RequestMetrics({ instruments, models, providers, scheme })
  const inferences = new InferenceMetrics({ instruments, conventions, models, providers })
  const dropped = instruments.counter('corral.telemetry.dropped')
  const dependencies = new Map<string, { up: number; at: number }>()
  instruments.observe('corral.dependency.up', () => [...dependencies].map(([name, { up, at }]) => ({ labels: [name], value: up, at })))
  const processMetrics = addProcessMetrics(instruments)
  let gather = async (): Promise<MetricsSnapshot> => instruments.collect()
  let cached: { readonly at: number; readonly snapshot: Promise<MetricsSnapshot> } | undefined
  return {
    sink: {
      // These two come with every request: no closure for them.
      requestFinished(event) {
        try {
          requests.finished(event)
        } catch (error) {
          reportFailure(error)
        }
      },
      inferenceFinished(event) {
        try {
          inferences.finished(event)
        } catch (error) {
          reportFailure(error)
        }
      },
      upstreamFailed: (provider) => guarded(() => inferences.failure(provider, 'other')),
      listingFailed: (provider) => guarded(() => inferences.failure(provider, 'listing')),
      listed: (provider, count) => guarded(() => inferences.listed(provider, count)),
      dependencyFailed: (dependency) => void dependencies.set(dependency, { up: 0, at: Date.now() }),
      dependencyRecovered: (dependency) => void dependencies.set(dependency, { up: 1, at: Date.now() }),
      telemetryDropped: (what, count) => guarded(() => dropped.bind(what).add(count)),
    },
    definitions: instruments.definitions,
    resource,
    observe: (name, read) => instruments.observe(name, read),
    useCatalogue(catalogue) {
      known = catalogue
    },
    collect: () => instruments.collect(),
    scrape() {
      const now = performance.now()
      if (cached && now - cached.at < cacheTime) return cached.snapshot
      const snapshot = gather()
      cached = { at: now, snapshot }
      snapshot.catch(() => (cached = undefined))
      return snapshot
    },
    setGather(others) {
      gather = others
      // The gatherer has a cache for all processes: a second one here could be older than what another process has shown.
      cacheTime = 0
    },
    [Symbol.dispose]: () => processMetrics[Symbol.dispose](),
  }
}

interface MetricsFacts {
  /** Corral's own. */
  readonly version: string
  /** `gen_ai.provider.name` of the configured providers, by id. */
  readonly providers: ReadonlyMap<string, string>
  readonly scheme: 'http' | 'https'
  /** A function, because events are created later, from these metrics. */
  readonly events: () => Pick<Events, 'telemetryDropped' | 'dependencyFailed' | 'dependencyRecovered' | 'unexpected' | 'warning'>
}

/** The metrics of a server, and whatever pushes them. */
interface MetricsSetup extends AsyncDisposable {
  /** Absent: switched off. */
  readonly metrics: Metrics | undefined
}

export function setUpMetrics(config: TelemetryConfig, { version, providers, scheme, events }: MetricsFacts): MetricsSetup {
  if (!config.metrics.enabled) return { metrics: undefined, [Symbol.asyncDispose]: () => Promise.resolve() }
  const metrics = createMetrics({
    conventions: config.conventions,
    resource: { 'service.version': version, ...config.resource },
    providers,
    scheme,
    onFailure: (error) => events().unexpected('measuring what happens', error),
  })
  const pushing = config.metrics.exporter ? startPushing(config, metrics, { version, events }) : undefined
  return {
    metrics,
    async [Symbol.asyncDispose]() {
      await (await pushing)?.[Symbol.asyncDispose]()
      metrics[Symbol.dispose]()
    },
  }
}

/** OpenTelemetry's packages are loaded where something is pushed alone. */
async function startPushing(config: TelemetryConfig, metrics: Metrics, { version, events }: Pick<MetricsFacts, 'version' | 'events'>) {
  try {
    const { startPush } = await import('./push.ts')
    return startPush(config, { metrics, version, events: events() })
  } catch (error) {
    events().unexpected('pushing metrics', error)
    return undefined
  }
}
