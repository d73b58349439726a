import type { InferenceFinished, RequestFinished } from '../finished.ts'

/** What makes spans of what happened. Its methods never throw and never wait. */
export interface SpanSink {
  /** Ends the trace of a request, unless the sampling drops it. */
  requestFinished(event: RequestFinished): void
  inferenceFinished(event: InferenceFinished): void
}
