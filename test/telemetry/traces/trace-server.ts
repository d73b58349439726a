import { chatStream, mockUpstream, type MockUpstream } from '../../../src/testing/index.ts'
import { testConfig, testServer, type TestServer, upstreamProvider } from '../../../src/testing/test-app.ts'
import type { BuildOptions } from '../../../src/services.ts'
import { Secret } from '../../../src/secret.ts'
import { defaultTelemetry, type TelemetryConfig } from '../../../src/telemetry/config.ts'
import { type OtlpReceiver, otlpReceiver, type ReceivedSpan } from './otlp-receiver.ts'

export interface TraceServer extends AsyncDisposable {
  readonly server: TestServer
  readonly upstream: MockUpstream
  readonly receiver: OtlpReceiver
  /** Asks for a chat. */
  chat(body?: Record<string, unknown>, headers?: Record<string, string>): Promise<Response>
  /** Every span so far, once `count` are there. */
  spans(count: number): Promise<readonly ReceivedSpan[]>
}

/** The exporter settings for `receiver`; sends at once. */
export function exporting(url: string, traces: Partial<TelemetryConfig['traces']> = {}): TelemetryConfig {
  const exporter = { url: `${url}/v1/traces`, headers: { 'x-token': new Secret('s3cret') }, timeout: 2_000, compression: 'gzip' } as const
  return { ...defaultTelemetry, traces: { ...defaultTelemetry.traces, exporter, delay: 10, ...traces } }
}

/** A server with one provider, and a collector. */
export async function startTraceServer(telemetry: Partial<TelemetryConfig> = {}, options: BuildOptions = {}): Promise<TraceServer> {
  const receiver = otlpReceiver()
  const upstream = await mockUpstream()
  upstream.respond(() => chatStream())
  const base = exporting(receiver.url)
  const config = testConfig({
    providers: [upstreamProvider('p', upstream.url, { key: 'k' })],
    telemetry: { ...base, ...telemetry },
  })
  const server = await testServer(config, options)
  return {
    server,
    upstream,
    receiver,
    chat: (body = {}, headers = {}) =>
      server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'hi' }], ...body }),
      }),
    async spans(count) {
      await until(() => receiver.spans.length >= count)
      return receiver.spans
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
      await receiver[Symbol.asyncDispose]()
    },
  }
}

/** A collector's complete response for a partly accepted message (`partial_success`); fewer than 128 rejected, a text shorter than 120 bytes. */
export function partialSuccess(rejected: number, why: string): Response {
  const text = new TextEncoder().encode(why)
  const inner = [...(rejected > 0 ? [0x08, rejected] : []), 0x12, text.length, ...text]
  return new Response(new Uint8Array([0x0a, inner.length, ...inner]), { headers: { 'content-type': 'application/x-protobuf' } })
}

/** Polls: the test's own time limit ends it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(5)
}
