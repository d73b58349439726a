import type { SpanContent } from './content.ts'

/** Values that OpenTelemetry's attributes may have. */
export type AttributeValue = string | number | boolean | readonly string[]

export type Attributes = Readonly<Record<string, AttributeValue>>

/** Something that happened within a span. */
export interface SpanEvent {
  readonly name: string
  /** Unix milliseconds, with fractions. */
  readonly time: number
  readonly attributes?: Attributes
}

/** Why a trace is written down on this machine, whatever the sampling. */
export type RetentionReason = 'sampled' | 'failed' | 'slow'

/** The owner of a trace: what the store needs to separate tenants and to find traces. Part of every span. */
export interface TraceOwner {
  readonly requestId: string
  /** Absent without authentication. */
  readonly principalId?: string | undefined
  readonly keyId?: string | undefined
  /** The principal's attributes, as policies see them. */
  readonly attributes?: Readonly<Record<string, readonly string[]>> | undefined
}

/**
 * One span that is over, as it goes to the store and to exporters: plain data, which goes to another thread as JSON. Made from the
 * events at the end of a request; there is no span before.
 */
export interface SpanRecord {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  /** Absent: the root of its trace. */
  readonly parentSpanId?: string | undefined
  /** The parent is a caller's span. */
  readonly parentIsRemote?: boolean | undefined
  /** The vendors' part of the trace's context (`tracestate`), as the caller sent it. */
  readonly traceState?: string | undefined
  readonly name: string
  readonly kind: 'server' | 'client' | 'internal'
  /** Unix milliseconds, with fractions (a double holds a quarter of a microsecond). */
  readonly start: number
  readonly end: number
  readonly attributes: Attributes
  readonly status: 'unset' | 'ok' | 'error'
  readonly statusMessage?: string | undefined
  readonly events?: readonly SpanEvent[] | undefined
  /** Whether exporters get it. Other spans go to the store only. */
  readonly sampled: boolean
  readonly kept: RetentionReason
  readonly owner: TraceOwner
  /** What was said, where that is switched on; becomes attributes in the thread. */
  readonly content?: SpanContent | undefined
}
