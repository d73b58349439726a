import type { Conventions } from '../config.ts'
import { definitionsOf } from './definitions.ts'
import { InferenceMetrics } from './inference-metrics.ts'
import { Instruments, type ReadPoints } from './instruments.ts'
import type { MetricSink } from './metric-sink.ts'
import { knowsNothing, type KnownModels } from './model-labels.ts'
import { addProcessMetrics } from './process-metrics.ts'
import { RequestMetrics } from './request-metrics.ts'
import type { Definition, Snapshot } from './snapshot.ts'

export interface MetricsOptions {
  readonly conventions: Conventions
  /** Attributes of the resource: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>
  /** The configured providers' types, by id. */
  readonly providers: ReadonlyMap<string, string>
  readonly scheme: 'http' | 'https'
  /** The labels of configured limits, as refusals name them, each with the limit's name. Default: none. */
  readonly limitNames?: ReadonlyMap<string, string> | undefined
  /** What kept something from being measured; told once, never thrown. */
  readonly onFailure: (error: unknown) => void
  /** Milliseconds for which readers share one look. Default 250. */
  readonly share?: number
}

/** The metrics of this process, and of the server that it is part of. */
export interface Metrics extends Disposable {
  readonly sink: MetricSink
  readonly definitions: readonly Definition[]
  readonly resource: Readonly<Record<string, string>>
  /** Further values of a metric, read whenever it is collected. Throws an Error for a metric that is not defined. */
  observe(name: string, read: ReadPoints): void
  /** From now on models are known by this catalogue. */
  know(models: KnownModels): void
  /** What this process has counted, now. */
  collect(): Snapshot
  /** What the whole server has counted, no older than a fraction of a second: readers that come together share it. */
  scrape(): Promise<Snapshot>
  /** Where several processes serve: asks all of them. */
  gatherBy(gather: () => Promise<Snapshot>): void
}

/** Measuring is of no use to the caller that is measured: whatever goes wrong with it is told once and forgotten. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { conventions, resource, providers, scheme, limitNames = new Map<string, string>() } = options
  let { share = 250 } = options
  let told = false
  const failed = (error: unknown): void => {
    if (!told) options.onFailure(error)
    told = true
  }
  const guarded = (measure: () => void): void => {
    try {
      measure()
    } catch (error) {
      failed(error)
    }
  }
  const instruments = new Instruments(definitionsOf(conventions), failed)
  let known = knowsNothing
  const models = (): KnownModels => known
  const requests = new RequestMetrics({ instruments, models, providers, scheme, limitNames })
  const inferences = new InferenceMetrics({ instruments, conventions, models, providers })
  const dropped = instruments.counter('corral.telemetry.dropped')
  const dependencies = new Map<string, { up: number; at: number }>()
  instruments.observe('corral.dependency.up', () => [...dependencies].map(([name, { up, at }]) => ({ labels: [name], value: up, at })))
  const ofProcess = addProcessMetrics(instruments)
  let gather = async (): Promise<Snapshot> => instruments.collect()
  let last: { readonly at: number; readonly snapshot: Promise<Snapshot> } | undefined
  return {
    sink: {
      // These two come with every request: no closure for them.
      requestFinished(event) {
        try {
          requests.finished(event)
        } catch (error) {
          failed(error)
        }
      },
      inferenceFinished(event) {
        try {
          inferences.finished(event)
        } catch (error) {
          failed(error)
        }
      },
      upstreamFailed: (provider) => guarded(() => inferences.failure(provider, 'other')),
      listingFailed: (provider) => guarded(() => inferences.failure(provider, 'listing')),
      listed: (provider, count) => guarded(() => inferences.listed(provider, count)),
      dependencyFailed: (dependency) => void dependencies.set(dependency, { up: 0, at: Date.now() }),
      dependencyBack: (dependency) => void dependencies.set(dependency, { up: 1, at: Date.now() }),
      telemetryDropped: (what, count) => guarded(() => dropped.bind(what).add(count)),
    },
    definitions: instruments.definitions,
    resource,
    observe: (name, read) => instruments.observe(name, read),
    know(catalogue) {
      known = catalogue
    },
    collect: () => instruments.collect(),
    scrape() {
      const now = performance.now()
      if (last && now - last.at < share) return last.snapshot
      const snapshot = gather()
      last = { at: now, snapshot }
      snapshot.catch(() => (last = undefined))
      return snapshot
    },
    gatherBy(others) {
      gather = others
      // Whoever gathers shares its looks among all processes: one that was kept here could follow a later one that another process has shown.
      share = 0
    },
    [Symbol.dispose]: () => ofProcess[Symbol.dispose](),
  }
}
