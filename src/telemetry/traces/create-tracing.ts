import { readFileSync } from 'node:fs'
import type { OtlpConfig, TelemetryConfig } from '../config.ts'
import { createSpanSink } from './create-span-sink.ts'
import { createSampler } from './sampler.ts'
import { names } from './semconv.ts'
import type { SpanSink } from '../event-types.ts'
import type { SpanRecord } from './span.ts'
import { type SpanQueueEvents, SpanQueue } from './span-queue.ts'
import { createTraceContexts, type TraceContexts } from './trace-context.ts'
import { cutMargin } from '../worker/content-attributes.ts'
import type { OtlpTarget } from '../worker/messages.ts'
import type { PartialSuccess } from '../worker/partial-success.ts'
import type { Events } from '../events.ts'

export interface Tracing extends AsyncDisposable {
  readonly contexts: TraceContexts
  /** Absent: no spans are made. */
  readonly spans?: SpanSink | undefined
  /** Adds spans that were made elsewhere to the store only. Absent: there is no store. */
  readonly store?: ((spans: readonly SpanRecord[]) => void) | undefined
  /** Resolves once what has ended so far is written and sent, or `limit` milliseconds are over. */
  flush(limit: number): Promise<void>
}

interface TracingDeps {
  /** Corral's own. */
  readonly version: string
  /** A function, because events are created later, from this tracing. */
  readonly events: () => Pick<Events, 'telemetryDropped' | 'dependencyFailed' | 'dependencyRecovered' | 'unexpected' | 'warning'>
}

/** Milliseconds that the last spans get at the end of the process. */
const finalFlushTimeout = 5_000

/** Puts together what traces need. Nothing is started before the first span. Throws an Error where a certificate's file cannot be read. */
export function createTracing(config: TelemetryConfig, { version, events }: TracingDeps): Tracing {
  const { traces, store } = config
  const { exporter } = traces
  const contexts = createTraceContexts({
    sampler: createSampler(traces.sampler, traces.ratio),
    baggage: traces.passBaggage,
    captureContent: traces.captureContent,
  })
  if (!traces.enabled || (!exporter && !store)) {
    return { contexts, flush: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const conventionNames = names[config.conventions]
  const queue = new SpanQueue({
    capacity: traces.queueSize * 2,
    events: createQueueEvents(events),
    settings: {
      ...(store && { store: { path: store.path, limits: store.limits } }),
      ...(exporter && { traces: toOtlpTarget(exporter) }),
      queueSize: traces.queueSize,
      batchSize: traces.batchSize,
      delay: traces.delay,
      resource: config.resource,
      schemaUrl: conventionNames.schemaUrl,
      version,
      redact: config.redact,
      contentLength: traces.maxContentLength,
    },
  })
  return {
    contexts,
    spans: createSpanSink({
      names: conventionNames,
      contentLength: traces.maxContentLength + cutMargin,
      take: (spans) => queue.take(spans),
      slowAfter: store?.slowAfter,
      onFailure: (error) => events().unexpected('making the spans of a request', error),
    }),
    ...(store && { store: (spans: readonly SpanRecord[]) => queue.take(spans) }),
    flush: (limit) => queue.flush(limit),
    [Symbol.asyncDispose]: () => queue.close(finalFlushTimeout),
  }
}

/** Names in the log. */
const dependencies = { export: 'trace collector', store: 'trace store', thread: 'telemetry thread' } as const

function createQueueEvents(events: TracingDeps['events']): SpanQueueEvents {
  return {
    dropped: (spans) => events().telemetryDropped('spans', spans),
    rejected: (rejected, why) => reportRejected(events(), 'trace collector', { what: 'spans', rejected, why }),
    failed: (what, why) => events().dependencyFailed(dependencies[what], new Error(why)),
    recovered: (what) => events().dependencyRecovered(dependencies[what]),
  }
}

interface RejectedItems extends PartialSuccess {
  /** `spans`, `points`. */
  readonly what: string
}

/** A line of the log for what a collector did not take of a message. */
export function reportRejected(events: Pick<Events, 'warning'>, collector: string, { what, rejected, why }: RejectedItems): void {
  events.warning(rejected > 0 ? `the ${collector} rejected ${what}` : `the ${collector} warns`, { rejected, why })
}

/** Headers revealed and files read, for the thread. Throws an Error where a file cannot be read. */
export function toOtlpTarget({ headers, certificate, clientCertificate, clientKey, proxy, ...target }: OtlpConfig): OtlpTarget {
  return {
    ...target,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.reveal()])),
    certificate: readPem(certificate),
    clientCertificate: readPem(clientCertificate),
    clientKey: readPem(clientKey),
    proxy: proxy?.reveal(),
  }
}

function readPem(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8')
}
