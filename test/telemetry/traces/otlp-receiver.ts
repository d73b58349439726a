import { gunzipSync } from 'bun'
import { bytesOf, type Fields, messagesOf, numberOf, readMessage, textOf } from './protobuf.ts'

/** A span as a collector gets it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly traceState: string
  readonly name: string
  /** 2: server, 3: client. */
  readonly kind: number
  /** Unix milliseconds. */
  readonly start: number
  readonly end: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[]
  /** 0: unset, 1: ok, 2: error. */
  readonly status: number
  readonly flags: number
  readonly resource: Readonly<Record<string, unknown>>
  readonly schemaUrl: string
}

/** What the collector does with a request; undefined: takes it. */
export type Behaviour = (request: Request) => Response | Promise<Response> | undefined

export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly spans: ReceivedSpan[]
  readonly requests: {
    readonly path: string
    readonly headers: Headers
    readonly bytes: number
    /** `performance.now()`. */ readonly at: number
  }[]
  behave(behaviour: Behaviour): void
}

interface OtlpReceiverOptions {
  /** Default: a free one. */
  readonly port?: number
  /** PEM. With `ca`, callers have to show a certificate that it signed. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string }
}

/** A collector on loopback that understands OpenTelemetry's protocol over HTTP and protobuf. */
export function otlpReceiver({ port = 0, tls }: OtlpReceiverOptions = {}): OtlpReceiver {
  const spans: ReceivedSpan[] = []
  const requests: OtlpReceiver['requests'] = []
  let behaviour: Behaviour | undefined
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    ...(tls && { tls: { ...tls, ...(tls.ca && { requestCert: true, rejectUnauthorized: true }) } }),
    async fetch(request) {
      const at = performance.now()
      const body = new Uint8Array(await request.arrayBuffer())
      requests.push({ path: new URL(request.url).pathname, headers: request.headers, bytes: body.length, at })
      const response = await behaviour?.(request)
      if (response) return response
      const message = request.headers.get('content-encoding') === 'gzip' ? gunzipSync(body) : body
      spans.push(...spansIn(message))
      return new Response(new Uint8Array(), { headers: { 'content-type': 'application/x-protobuf' } })
    },
  })
  return {
    url: `http${tls ? 's' : ''}://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    spans,
    requests,
    behave(next) {
      behaviour = next
    },
    async [Symbol.asyncDispose]() {
      await server.stop(true)
    },
  }
}

/** The spans of an ExportTraceServiceRequest. */
export function spansIn(message: Uint8Array): ReceivedSpan[] {
  return messagesOf(readMessage(message), 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messagesOf(resourceSpans, 1)[0]!, 1)
    return messagesOf(resourceSpans, 2).flatMap((scope) => {
      const schemaUrl = textOf(scope, 3)
      return messagesOf(scope, 2).map((span) => ({ ...spanOf(span), resource, schemaUrl }))
    })
  })
}

function spanOf(span: Fields): Omit<ReceivedSpan, 'resource' | 'schemaUrl'> {
  const hex = (number: number) => Buffer.from(bytesOf(span, number)).toString('hex')
  return {
    traceId: hex(1),
    spanId: hex(2),
    traceState: textOf(span, 3),
    parentSpanId: hex(4),
    name: textOf(span, 5),
    kind: numberOf(span, 6),
    start: numberOf(span, 7) / 1e6,
    end: numberOf(span, 8) / 1e6,
    attributes: attributesOf(span, 9),
    events: messagesOf(span, 11).map((event) => ({ name: textOf(event, 2), attributes: attributesOf(event, 3) })),
    status: numberOf(messagesOf(span, 15)[0] ?? new Map(), 3),
    flags: numberOf(span, 16),
  }
}

function attributesOf(fields: Fields, number: number): Record<string, unknown> {
  return Object.fromEntries(messagesOf(fields, number).map((pair) => [textOf(pair, 1), valueOf(messagesOf(pair, 2)[0]!)]))
}

function valueOf(value: Fields): unknown {
  if (value.has(1)) return textOf(value, 1)
  if (value.has(2)) return numberOf(value, 2) === 1
  if (value.has(3)) return numberOf(value, 3)
  if (value.has(4)) return new Float64Array(new BigUint64Array([value.get(4)![0] as bigint]).buffer)[0]
  if (value.has(5)) return messagesOf(messagesOf(value, 5)[0]!, 1).map(valueOf)
  return undefined
}
