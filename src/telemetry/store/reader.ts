import { stat } from 'node:fs/promises'
import { openSqlite, type SqliteConnection } from '../../runtime/sqlite.ts'
import type { Attributes, SpanEvent } from '../traces/span.ts'
import type { BoundValue } from './rows.ts'
import { schemaVersion, TraceStoreError, versionOf } from './schema.ts'
import * as statements from './statements.ts'

/** One request that was kept, or what a caller logged to one trace. */
export interface StoredTrace {
  /** Rises with the order in which traces were written. */
  readonly id: number
  readonly traceId: string
  readonly rootSpanId: string
  readonly name: string
  /** Unix milliseconds, with fractions. */
  readonly start: number
  readonly end: number
  readonly status: 'unset' | 'ok' | 'error'
  readonly failed: boolean
  readonly kept: string
  readonly httpStatus: number | null
  readonly route: string | null
  readonly model: string | null
  readonly provider: string | null
  readonly principal: string | null
  readonly principalAttributes: Readonly<Record<string, readonly string[]>>
  readonly keyId: string | null
  readonly requestId: string
  readonly errorType: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly costUsd: number | null
}

export interface StoredSpan {
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly name: string
  readonly kind: 'server' | 'client' | 'internal'
  readonly start: number
  readonly end: number
  readonly status: 'unset' | 'ok' | 'error'
  readonly statusMessage: string | null
  readonly attributes: Attributes
  readonly events: readonly SpanEvent[]
}

/** A filter of traces; absent members do not filter. Times are Unix milliseconds. */
export interface TraceFilter {
  readonly since?: number | undefined
  /** Not with. */
  readonly until?: number | undefined
  readonly failed?: boolean | undefined
  /** Milliseconds that a request took, or more; whatever was kept for being slow counts too. */
  readonly slowerThan?: number | undefined
  readonly keyId?: string | undefined
  readonly model?: string | undefined
  readonly provider?: string | undefined
  readonly principal?: string | undefined
  readonly requestId?: string | undefined
  readonly traceId?: string | undefined
}

interface TraceListRequest extends TraceFilter {
  readonly limit: number
  /** The trace behind which to go on. */
  readonly after?: Pick<StoredTrace, 'start' | 'id'> | undefined
  /** Default: the newest first. */
  readonly order?: 'newest' | 'oldest' | undefined
}

/** The store, for reading; every call blocks its thread for as long as the query takes. */
export interface TraceStore extends Disposable {
  list(request: TraceListRequest): StoredTrace[]
  /** Those that were written after the one with this id, the oldest first. */
  writtenAfter(id: number, limit: number): StoredTrace[]
  /** The id of the one that was written last; 0: none. */
  lastId(): number
  /** All of one trace id. */
  byTraceId(traceId: string): StoredTrace[]
  /** The traces of a trace id, a request id, or a prefix of one. An exact id takes precedence. */
  find(idOrPrefix: string, limit: number): StoredTrace[]
  /** Those that have a span of this id. */
  bySpanId(spanId: string): StoredTrace[]
  spansOf(trace: Pick<StoredTrace, 'id'>): StoredSpan[]
}

/** Milliseconds that a writer may hold the file: write-ahead logging lets readers wait for next to nothing. */
const busyTimeout = 2_000

/** Rows of one trace id: a caller may do as much as it likes under one. */
const maxTracesPerId = 1_000
const maxSpans = 10_000

/** Undefined: there is no store yet. Throws SqliteFailure and TraceStoreError if it cannot be read. */
export async function openTraceStore(path: string): Promise<TraceStore | undefined> {
  try {
    if (!(await stat(path)).isFile()) throw new TraceStoreError(`${path} is not a file.`, 'Name a file in telemetry.store.path.')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const connection = await openSqlite(path, { mode: 'query', busyTimeout })
  try {
    if (versionOf(connection, path) === schemaVersion) return createTraceStore(connection)
  } catch (error) {
    connection.close()
    throw error
  }
  connection.close()
  return undefined
}

function createTraceStore(connection: SqliteConnection): TraceStore {
  const traces = (statement: string, parameters: readonly BoundValue[]) => connection.execute(statement, parameters).rows.map(toTrace)
  return {
    list(request) {
      const { limit, after, order, since, until, failed } = request
      return traces(order === 'oldest' ? statements.listTracesFromOldest : statements.listTraces, [
        after?.start ?? null,
        after?.id ?? null,
        since ?? null,
        until ?? null,
        failed === undefined ? null : Number(failed),
        request.slowerThan ?? null,
        request.keyId ?? null,
        request.model ?? null,
        request.provider ?? null,
        request.principal ?? null,
        request.requestId ?? null,
        request.traceId ?? null,
        limit,
      ])
    },
    writtenAfter: (id, limit) => traces(statements.tracesAfter, [id, limit]),
    lastId: () => Number(connection.execute(statements.lastTrace, []).rows[0]?.['id']),
    byTraceId: (traceId) => traces(statements.tracesOfId, [traceId, maxTracesPerId]),
    find(text, limit) {
      const exact = traces(statements.tracesOfId, [text, limit])
      if (exact.length > 0) return exact
      const ofRequest = traces(statements.tracesOfRequest, [text, limit])
      if (ofRequest.length > 0) return ofRequest
      const end = `${text}\u{10FFFF}`
      const found = [
        ...traces(statements.tracesOfIdsBetween, [text, end, limit]),
        ...traces(statements.tracesOfRequestsBetween, [text, end, limit]),
      ]
      return [...new Map(found.map((trace) => [trace.id, trace])).values()].slice(0, limit)
    },
    bySpanId: (spanId) => traces(statements.tracesOfSpan, [spanId, maxTracesPerId]),
    spansOf: ({ id }) => connection.execute(statements.spansOfTrace, [id, maxSpans]).rows.map(toSpan),
    [Symbol.dispose]: () => connection.close(),
  }
}

function toTrace(row: Record<string, unknown>): StoredTrace {
  return {
    id: row['id'] as number,
    traceId: row['trace_id'] as string,
    rootSpanId: row['root_span_id'] as string,
    name: row['name'] as string,
    start: row['start'] as number,
    end: row['end'] as number,
    status: row['status'] as StoredTrace['status'],
    failed: row['failed'] === 1,
    kept: row['kept'] as string,
    httpStatus: row['http_status'] as number | null,
    route: row['route'] as string | null,
    model: row['model'] as string | null,
    provider: row['provider'] as string | null,
    principal: row['principal'] as string | null,
    principalAttributes: JSON.parse(row['principal_attributes'] as string) as StoredTrace['principalAttributes'],
    keyId: row['key_id'] as string | null,
    requestId: row['request_id'] as string,
    errorType: row['error_type'] as string | null,
    inputTokens: row['input_tokens'] as number | null,
    outputTokens: row['output_tokens'] as number | null,
    costUsd: row['cost_usd'] as number | null,
  }
}

function toSpan(row: Record<string, unknown>): StoredSpan {
  return {
    spanId: row['span_id'] as string,
    parentSpanId: row['parent_span_id'] as string | null,
    name: row['name'] as string,
    kind: row['kind'] as StoredSpan['kind'],
    start: row['start'] as number,
    end: row['end'] as number,
    status: row['status'] as StoredSpan['status'],
    statusMessage: row['status_message'] as string | null,
    attributes: JSON.parse(row['attributes'] as string) as Attributes,
    events: JSON.parse(row['events'] as string) as SpanEvent[],
  }
}
