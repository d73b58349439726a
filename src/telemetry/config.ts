import type { Secret } from '../secret.ts'
import type { TraceStoreLimits } from './worker/messages.ts'

/** Which version of OpenTelemetry's conventions for generative AI names follow. */
export type Conventions = 'v1_41' | 'latest'

export const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
export type SamplerName = (typeof samplers)[number]

/** The OTLP destination of one signal (HTTP, protobuf). */
export interface OtlpConfig {
  /** Absolute, the signal's path included. */
  readonly url: string
  readonly headers: Readonly<Record<string, Secret>>
  /** Milliseconds. */
  readonly timeout: number
  readonly compression: 'none' | 'gzip'
  /** Paths of PEM files, absolute. */
  readonly certificate?: string | undefined
  readonly clientCertificate?: string | undefined
  readonly clientKey?: string | undefined
  /** The URL of the proxy to the collector. Absent: it is reached directly. */
  readonly proxy?: Secret | undefined
}

/** What is measured and where it is sent; access lines belong to `logging`. */
export interface TelemetryConfig {
  readonly conventions: Conventions
  /** `service.name` and whatever else OTEL_RESOURCE_ATTRIBUTES says. */
  readonly resource: Readonly<Record<string, string>>
  readonly traces: {
    /** False: no spans. Trace ids are still propagated. */
    readonly enabled: boolean
    readonly sampler: SamplerName
    /** Of those that begin here, for the samplers that take a share; 0 to 1. */
    readonly ratio: number
    /** Absent: nothing is exported. */
    readonly exporter?: OtlpConfig | undefined
    /** Prompts and completions, in spans. */
    readonly captureContent: boolean
    /** UTF-16 units of one message; longer ones are cut. */
    readonly maxContentLength: number
    /** Whether callers’ baggage is sent to upstreams. */
    readonly passBaggage: boolean
    /** Spans that wait for the exporter. What comes beyond is dropped and counted. */
    readonly queueSize: number
    /** Spans in one message. */
    readonly batchSize: number
    /** Milliseconds that spans wait for others before they are sent. */
    readonly delay: number
  }
  /** Traces on this machine; absent: none are kept. */
  readonly store?: TraceStoreConfig | undefined
  readonly metrics: {
    /** Whether `/metrics` is readable without a credential. */
    readonly public: boolean
    /** False: nothing is counted, and `/metrics` is 404. */
    readonly enabled: boolean
    /** Absent: nothing is pushed. */
    readonly exporter?: OtlpConfig | undefined
    /** Milliseconds between two pushes. */
    readonly interval: number
  }
  /** Patterns that are masked in captured content. */
  readonly redact: readonly string[]
}

export interface TraceStoreConfig {
  /** Absolute. */
  readonly path: string
  readonly limits: TraceStoreLimits
  /** Milliseconds from which a request is slow: it is kept whatever the sampling. */
  readonly slowAfter: number
}

/** Nothing exported, nothing kept: what a server without the section does. */
export const defaultTelemetry: TelemetryConfig = {
  conventions: 'v1_41',
  resource: { 'service.name': 'corral' },
  traces: {
    enabled: true,
    sampler: 'parentbased_always_on',
    ratio: 1,
    captureContent: false,
    maxContentLength: 16_384,
    passBaggage: false,
    queueSize: 8192,
    batchSize: 512,
    delay: 1_000,
  },
  metrics: { enabled: true, public: false, interval: 60_000 },
  redact: [],
}
