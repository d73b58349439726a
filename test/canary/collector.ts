import { gunzipSync } from 'bun'
import { partialSuccess } from '../telemetry/traces/trace-server.ts'
import { type ReceivedSpan, spansIn } from '../telemetry/traces/otlp-receiver.ts'

/** A collector that records what it receives, and returns the received headers. */
export interface EchoingCollector extends AsyncDisposable {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  /** Messages of OpenTelemetry's protocol as they came, unpacked. */
  readonly traces: readonly Uint8Array[]
  readonly metrics: readonly Uint8Array[]
  /** What came in headers, as a text. */
  readonly headers: readonly string[]
}

/** Characters of a collector's own words: `partialSuccess` takes no more. */
const maxWords = 119

export function echoingCollector(): EchoingCollector {
  const spans: ReceivedSpan[] = []
  const traces: Uint8Array[] = []
  const metrics: Uint8Array[] = []
  const headers: string[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const body = new Uint8Array(await request.arrayBuffer())
      const message = request.headers.get('content-encoding') === 'gzip' ? gunzipSync(body) : body
      const received = [...request.headers].map(([name, value]) => `${name}: ${value}`)
      headers.push(received.join('\n'))
      if (new URL(request.url).pathname !== '/v1/traces') {
        metrics.push(message)
        return partialSuccess(0, `got ${request.headers.get('x-collector-key')}`.slice(0, maxWords))
      }
      traces.push(message)
      spans.push(...spansIn(message))
      return partialSuccess(0, `got ${request.headers.get('authorization')}`.slice(0, maxWords))
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    spans,
    traces,
    metrics,
    headers,
    async [Symbol.asyncDispose]() {
      await server.stop(true)
    },
  }
}
