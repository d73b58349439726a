import type { CallTrace } from '../../call.ts'
import type { InferenceFinished } from '../event-types.ts'

/** The trace of a request, and the events that become spans at its end. */
export class RequestTrace implements CallTrace {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly sampled: boolean
  readonly newSpanId: () => string
  state: string | undefined = undefined
  baggage: string | undefined = undefined
  /** Whether prompts and completions are wanted of it. */
  capturesContent = false
  /** Inferences that ended before the request. */
  inferences: InferenceFinished[] | undefined = undefined
  /** The request is over; what it was kept for. */
  over: 'dropped' | 'sampled' | 'failed' | 'slow' | undefined = undefined

  constructor(traceId: string, parentSpanId: string | undefined, sampled: boolean, newSpanId: () => string) {
    this.traceId = traceId
    this.parentSpanId = parentSpanId
    this.sampled = sampled
    this.newSpanId = newSpanId
    this.spanId = newSpanId()
  }
}
