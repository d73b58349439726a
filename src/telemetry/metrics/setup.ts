import type { TelemetryConfig } from '../config.ts'
import type { Events } from '../events.ts'
import { createMetrics, type Metrics } from './create-metrics.ts'

export interface MetricsFacts {
  /** Corral's own. */
  readonly version: string
  /** The configured providers' types, by id. */
  readonly providers: ReadonlyMap<string, string>
  readonly scheme: 'http' | 'https'
  /** Asked for when there is something to tell: events are made after this, of what this gives. */
  readonly events: () => Pick<Events, 'telemetryDropped' | 'dependencyFailed' | 'dependencyRecovered' | 'unexpected' | 'warning'>
}

/** The metrics of a server, and whatever pushes them. */
export interface MetricsSetup extends AsyncDisposable {
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
