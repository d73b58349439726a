import type { AccessPolicy } from '../../access/policy.ts'
import { notVisible } from '../../access/refusal.ts'
import type { Call } from '../../call.ts'
import { type ApiError, unavailable } from '../../errors.ts'
import type {
  MetricSeriesInfo,
  QueryMetrics,
  QuerySpans,
  QueryTraces,
  SpanInfo,
  SpanTreeRequest,
  SpanWithStatusInfo,
  TelemetryEvent,
  TraceInfo,
} from '../../schemas/telemetry.ts'
import { openTraceStore, type StoredTrace, type TraceStore } from '../../telemetry/store/reader.ts'
import type { SpanRecord } from '../../telemetry/traces/span.ts'
import { recordOf } from './log-event.ts'
import { MetricSums } from './metrics.ts'
import { requireScope } from '../telemetry-scope.ts'
import { ReadableTraces } from './readable.ts'
import { below, meetsAll, type SpanOfTrace, toSpan, toSpanWithStatus, toTrace } from './spans.ts'

interface TraceQueriesDeps {
  /** The store's file. */
  readonly path: string
  readonly policy: AccessPolicy
  /** Puts spans into the store. */
  readonly storeSpans: (spans: readonly SpanRecord[]) => void
  /** Unix milliseconds. */
  readonly now?: (() => number) | undefined
}

const defaultTraceLimit = 100

type RequestedItem = readonly [kind: string, id: string]

/**
 * Llama Stack's telemetry API over the trace store. Reading requires the scope `telemetry.read` (403), and the access policy's permission for each trace
 * (`trace::<id>`, owned by the caller of the request); other traces are 404.
 */
export class TraceQueries {
  readonly #deps: TraceQueriesDeps

  constructor(deps: TraceQueriesDeps) {
    this.#deps = deps
  }

  traces(call: Call, query: QueryTraces): Promise<TraceInfo[]> {
    return this.#reading(call, undefined, async (readable, store) => {
      const { attribute_filters: filters, limit, offset, order_by: order } = query
      const first = offset ?? 0
      const found: TraceInfo[] = []
      const seen = new Set<string>()
      for await (const row of readable.all({ order: order?.[0] === 'start_time' ? 'oldest' : 'newest' })) {
        if (seen.has(row.traceId)) continue
        if (filters && filters.length > 0 && !store.spansOf(row).some((span) => meetsAll(span, filters))) continue
        seen.add(row.traceId)
        if (seen.size > first) found.push(toTrace(readable.ofTrace(row.traceId)))
        if (found.length >= (limit ?? defaultTraceLimit)) break
      }
      return found
    })
  }

  /** Throws ApiError 404, as do the others that are given an id. */
  trace(call: Call, traceId: string): Promise<TraceInfo> {
    return this.#reading(call, ['Trace', traceId], (readable) => toTrace(readable.ofTrace(traceId)))
  }

  span(call: Call, traceId: string, spanId: string): Promise<SpanInfo> {
    return this.#reading(call, ['Span', spanId], (readable, store) => {
      const found = spansOf(store, readable.ofTrace(traceId)).find((span) => span.spanId === spanId)
      if (!found) throw notVisible('Span', spanId)
      return toSpan(found)
    })
  }

  /** The spans, with all attributes that are wanted, of the newest traces one of whose spans meets the conditions. */
  async spans(call: Call, { attribute_filters: filters, attributes_to_return: names, max_depth: depth }: QuerySpans): Promise<SpanInfo[]> {
    const traces = await this.traces(call, { attribute_filters: filters })
    const wanted = names.length > 0 ? names : undefined
    return this.#reading(call, undefined, (readable, store) => {
      const found = new Map<string, SpanOfTrace>()
      for (const { trace_id: traceId } of traces) {
        for (const row of readable.ofTrace(traceId)) {
          for (const span of below(spansOf(store, [row]), row.rootSpanId, depth ?? undefined)) found.set(`${row.id} ${span.spanId}`, span)
        }
      }
      return [...found.values()]
        .filter(({ attributes }) => names.every((name) => Object.hasOwn(attributes, name)))
        .map((span) => toSpan(span, wanted))
    })
  }

  tree(call: Call, spanId: string, request: SpanTreeRequest): Promise<Record<string, SpanWithStatusInfo>> {
    return this.#reading(call, ['Span', spanId], (readable, store) => {
      const spans = spansOf(store, readable.ofSpan(spanId))
      const { attributes_to_return: wanted, max_depth: depth } = request
      return Object.fromEntries(
        below(spans, spanId, depth ?? undefined).map((span) => [span.spanId, toSpanWithStatus(span, wanted ?? undefined)]),
      )
    })
  }

  /** Throws ApiError 400 for a metric that there is not, or too many points. */
  metrics(call: Call, name: string, query: QueryMetrics): Promise<MetricSeriesInfo[]> {
    return this.#reading(call, undefined, async (readable) => {
      const sums = new MetricSums(name, query)
      const until = query.end_time == null ? undefined : query.end_time * 1_000
      for await (const row of readable.all({ order: 'oldest', since: query.start_time * 1_000, until })) sums.add(row)
      return sums.result()
    })
  }

  /** Requires no scope: callers write to their own traces. The event is in the store within two seconds. */
  log(call: Call, event: TelemetryEvent): void {
    const { storeSpans, now = Date.now } = this.#deps
    storeSpans([recordOf(event, call, now())])
  }

  /** `requested`: what the 404 names where there is no store yet. */
  async #reading<T>(
    call: Call,
    requested: RequestedItem | undefined,
    work: (readable: ReadableTraces, store: TraceStore) => Promise<T> | T,
  ): Promise<T> {
    requireScope(call, 'trace::*')
    const { path, policy } = this.#deps
    using store = await openTraceStore(path).catch((error: unknown) => {
      throw unreadable(error)
    })
    if (!store && requested) throw notVisible(requested[0], requested[1])
    const reading = store ?? noStore
    try {
      return await work(new ReadableTraces(reading, policy, call), reading)
    } catch (error) {
      throw error instanceof Error && error.name === 'SqliteFailure' ? unreadable(error) : error
    }
  }
}

/** Before the first request was kept. */
const noStore: TraceStore = {
  list: () => [],
  writtenAfter: () => [],
  lastId: () => 0,
  byTraceId: () => [],
  find: () => [],
  bySpanId: () => [],
  spansOf: () => [],
  [Symbol.dispose]: () => undefined,
}

function unreadable(cause: unknown): ApiError {
  return unavailable('The trace store is temporarily unavailable.', 30, { code: 'trace_store_unavailable', cause })
}

function spansOf(store: TraceStore, rows: readonly StoredTrace[]): SpanOfTrace[] {
  return rows.flatMap((row) => store.spansOf(row).map((span) => ({ ...span, traceId: row.traceId })))
}
