import type { InferenceFinished, RequestFinished } from '../finished.ts'

/** What counts and measures what happened. Its methods never throw and never wait. */
export interface MetricSink {
  /** A request has come in; for each of them `requestFinished` follows once. */
  requestStarted?(): void
  requestFinished(event: RequestFinished): void
  inferenceFinished(event: InferenceFinished): void
  /** Told once until it is back. */
  dependencyFailed?(dependency: string): void
  dependencyRecovered?(dependency: string): void
  /** A provider could not be reached, or answered with an error, outside of a caller's own request. */
  upstreamFailed?(provider: string): void
  listingFailed?(provider: string): void
  listed?(provider: string, models: number): void
  /** Spans or log lines that were dropped: a full queue, an exporter that is out of reach. */
  telemetryDropped?(what: 'spans' | 'metrics' | 'logs', count: number): void
}
