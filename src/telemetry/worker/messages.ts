import type { SpanRecord } from '../traces/span.ts'

/** The OTLP destination of one signal. Survives a structured clone. */
export interface OtlpTarget {
  /** Absolute, the signal's path included: `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  /** Contains credentials: never logged. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds that one batch may take, its further attempts included. */
  readonly timeout: number
  readonly compression: 'none' | 'gzip'
  /** PEM. */
  readonly certificate?: string | undefined
  readonly clientCertificate?: string | undefined
  readonly clientKey?: string | undefined
  /** The URL of a proxy. Absent: the collector is reached directly, also where the environment has a proxy. */
  readonly proxy?: string | undefined
}

/** How much the store of traces on this machine holds. */
export interface TraceStoreLimits {
  /** Milliseconds after which a trace is deleted. */
  readonly maxAge: number
  /** Bytes of the file, roughly: the oldest traces are deleted first. */
  readonly maxBytes: number
}

/** What the thread is started with. */
export interface WorkerSettings {
  readonly store?: { readonly path: string; readonly limits: TraceStoreLimits } | undefined
  readonly traces?: OtlpTarget | undefined
  /** Spans kept for an exporter that is busy or unavailable. */
  readonly queueSize: number
  /** Spans in one message of the protocol. */
  readonly batchSize: number
  /** Milliseconds that spans wait for others before they are sent. */
  readonly delay: number
  /** Attributes of the resource: `service.name` and the like. */
  readonly resource: Readonly<Record<string, string>>
  /** The conventions' schema that the spans keep to. */
  readonly schemaUrl: string
  /** Patterns that are masked in content. */
  readonly redact: readonly string[]
  /** UTF-16 units of one text of content. */
  readonly contentLength: number
  /** Corral's own version. */
  readonly version: string
}

export type ToWorker =
  /** `json`: SpanRecords. A text is handed over in a third of the time that a structured clone of them takes. */
  | { readonly kind: 'spans'; readonly count: number; readonly json: string }
  /** Replied to with `flushed` once everything before it is written and sent, or given up. */
  | { readonly kind: 'flush'; readonly id: number }
  | { readonly kind: 'close' }

export type FromWorker =
  /** How many spans the thread is done with, however that went: so many fewer are on their way. */
  | { readonly kind: 'done'; readonly spans: number }
  | { readonly kind: 'flushed'; readonly id: number }
  | { readonly kind: 'dropped'; readonly what: 'export' | 'store'; readonly spans: number }
  /** Spans that the collector rejected of accepted messages, with its reason; also counted as `dropped`. At most once a minute, summed up. */
  | { readonly kind: 'rejected'; readonly spans: number; readonly why: string }
  /** Once per outage. */
  | { readonly kind: 'failed'; readonly what: 'export' | 'store'; readonly why: string }
  | { readonly kind: 'back'; readonly what: 'export' | 'store' }
  | { readonly kind: 'closed' }

/**
 * What the thread does with records for the store on this machine: `openTraceStoreWriter(path, limits)` in `src/telemetry/store/writer.ts` gives one.
 * A failure is thrown: it is logged once until a write succeeds, and serving goes on.
 */
export interface TraceStoreWriter {
  write(records: readonly SpanRecord[]): void | Promise<void>
  close(): void | Promise<void>
}
