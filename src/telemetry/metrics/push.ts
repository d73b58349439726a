import type { TelemetryConfig } from '../config.ts'
import type { Events } from '../events.ts'
import { reportRejected, toOtlpTarget } from '../traces/create-tracing.ts'
import { names } from '../traces/semconv.ts'
import { sendOtlp } from '../worker/otlp-sender.ts'
import { RejectionSummary } from '../worker/rejection-summary.ts'
import type { MetricReader } from './instruments.ts'
import { createMetricEncoder } from './otlp-metrics.ts'

interface PushDeps {
  readonly metrics: MetricReader
  /** Corral's own. */
  readonly version: string
  readonly events: Pick<Events, 'telemetryDropped' | 'dependencyFailed' | 'dependencyRecovered' | 'unexpected' | 'warning'>
}

const dependency = 'metrics collector'
/** Milliseconds that the last push gets at the end of the process. */
const finalPushTimeout = 2_000

/**
 * Pushes this process's metrics to the collector, at an interval and once more at shutdown. Each push contains all values, so a
 * failed one is not retried. `service.instance.id` distinguishes the processes of one server. Throws an Error where a certificate's
 * file cannot be read.
 */
export function startPush(config: TelemetryConfig, { metrics, version, events }: PushDeps): AsyncDisposable {
  const { exporter, interval } = config.metrics
  if (!exporter) return { [Symbol.asyncDispose]: () => Promise.resolve() }
  const target = toOtlpTarget(exporter)
  const encode = createMetricEncoder(metrics.definitions, {
    resource: { 'service.instance.id': crypto.randomUUID(), ...metrics.resource },
    schemaUrl: names[config.conventions].schemaUrl,
    version,
    startedAt: performance.timeOrigin,
  })
  const rejections = new RejectionSummary()
  const reportRejections = (now: number): void => {
    const due = rejections.due(now)
    if (due) reportRejected(events, dependency, { what: 'points', ...due })
  }
  let running: Promise<void> | undefined
  const push = async (timeout: number): Promise<void> => {
    try {
      const result = await sendOtlp({ ...target, timeout: Math.min(target.timeout, timeout) }, encode(metrics.collect(), Date.now()))
      if (result.kind === 'sent') {
        events.dependencyRecovered(dependency)
        if (!result.partial) return
        if (result.partial.rejected > 0) events.telemetryDropped('metrics', 1)
        rejections.add(result.partial)
        reportRejections(performance.now())
        return
      }
      events.telemetryDropped('metrics', 1)
      events.dependencyFailed(dependency, new Error(result.why))
    } catch (error) {
      events.unexpected('pushing metrics', error)
    }
  }
  // One at a time: a collector that stalls does not gather pushes.
  const timer = setInterval(() => {
    running ??= push(Infinity).finally(() => (running = undefined))
  }, interval)
  timer.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await push(finalPushTimeout)
      reportRejections(Infinity)
    },
  }
}
