import { SpanKind, SpanStatusCode, type Attributes as OtelAttributes } from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { SpanRecord } from '../traces/span.ts'

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const
const statuses = { unset: SpanStatusCode.UNSET, ok: SpanStatusCode.OK, error: SpanStatusCode.ERROR } as const

interface SpanEncoderOptions {
  readonly resource: Readonly<Record<string, string>>
  readonly schemaUrl: string
  readonly version: string
}

/** Encodes spans as an ExportTraceServiceRequest, by OpenTelemetry's own transformer. */
export function createSpanEncoder({
  resource: attributes,
  schemaUrl,
  version,
}: SpanEncoderOptions): (spans: readonly SpanRecord[]) => Uint8Array {
  const resource = resourceFromAttributes({
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.version': '3.1.1',
    'service.version': version,
    ...attributes,
  })
  const instrumentationScope = { name: 'corral', version, schemaUrl }
  const toReadable = (span: SpanRecord): ReadableSpan => {
    const { traceId, spanId, parentSpanId, traceState, status, statusMessage, events } = span
    const context = { traceId, traceFlags: span.sampled ? 1 : 0, ...(traceState !== undefined && { traceState: stateOf(traceState) }) }
    return {
      name: span.name,
      kind: kinds[span.kind],
      spanContext: () => ({ ...context, spanId }),
      ...(parentSpanId !== undefined && {
        parentSpanContext: { ...context, spanId: parentSpanId, isRemote: span.parentIsRemote === true },
      }),
      startTime: toHrTime(span.start),
      endTime: toHrTime(span.end),
      duration: toHrTime(span.end - span.start),
      status: { code: statuses[status], ...(statusMessage !== undefined && { message: statusMessage }) },
      attributes: span.attributes,
      links: [],
      events: (events ?? []).map((event) => ({
        name: event.name,
        time: toHrTime(event.time),
        attributes: event.attributes as OtelAttributes,
      })),
      ended: true,
      resource,
      instrumentationScope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    }
  }
  return (spans) => {
    const message = ProtobufTraceSerializer.serializeRequest(spans.map(toReadable))
    if (!message) throw new Error('The spans could not be encoded.')
    return message
  }
}

/** Unix milliseconds as seconds and nanoseconds. */
export function toHrTime(milliseconds: number): [number, number] {
  const seconds = Math.trunc(milliseconds / 1000)
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)]
}

/** Only its text is wanted: nothing here edits it. */
function stateOf(text: string) {
  return { serialize: () => text, get: () => undefined, set: () => stateOf(text), unset: () => stateOf(text) }
}
