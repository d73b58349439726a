import { expect, test } from 'bun:test'
import { defaultTelemetry, type TelemetryConfig } from '../../../src/telemetry/config.ts'
import { chatReply, recordedLog } from '../../../src/testing/index.ts'
import { bytesOf, type Fields, messagesOf, numberOf, readMessage, textOf } from '../traces/protobuf.ts'
import { dropped, untilDropped } from '../dropped.ts'
import { partialSuccess } from '../traces/trace-server.ts'
import { hello, measured } from './stage.ts'

interface Pushed {
  readonly name: string
  readonly unit: string
  readonly points: readonly { readonly attributes: Readonly<Record<string, string>>; readonly count: number; readonly limits: number }[]
}

/** The collector's side: what a message says, by metric. */
function pushedIn(message: Uint8Array): { resource: Record<string, string>; metrics: Map<string, Pushed> } {
  const [resourceMetrics] = messagesOf(readMessage(message), 1) as [Fields]
  const resource = attributesOf(messagesOf(resourceMetrics, 1)[0] as Fields, 1)
  const metrics = messagesOf(resourceMetrics, 2)
    .flatMap((scope) => messagesOf(scope, 2))
    .map((metric): Pushed => ({ name: textOf(metric, 1), unit: textOf(metric, 3), points: pointsOf(metric) }))
  return { resource, metrics: new Map(metrics.map((one) => [one.name, one])) }
}

function pointsOf(metric: Fields): Pushed['points'] {
  const [histogram] = messagesOf(metric, 9)
  const [data = histogram] = [...messagesOf(metric, 5), ...messagesOf(metric, 7), ...messagesOf(metric, 9)]
  return messagesOf(data as Fields, 1).map((point) => ({
    attributes: attributesOf(point, histogram ? 9 : 7),
    count: histogram ? numberOf(point, 4) : asDouble(point),
    limits: bytesOf(point, 7).length / 8,
  }))
}

function asDouble(point: Fields): number {
  const [bits = 0n] = point.get(4) ?? []
  return new Float64Array(new BigUint64Array([bits as bigint]).buffer)[0] ?? 0
}

function attributesOf(fields: Fields, number: number): Record<string, string> {
  return Object.fromEntries(messagesOf(fields, number).map((pair) => [textOf(pair, 1), textOf(messagesOf(pair, 2)[0] as Fields, 1)]))
}

function pushingTo(url: string): TelemetryConfig {
  const exporter = { url, headers: {}, timeout: 1_000, compression: 'none' } as const
  return { ...defaultTelemetry, metrics: { enabled: true, public: false, interval: 50, exporter } }
}

test('[MET-7] a collector gets the same numbers, by OpenTelemetry’s protocol', async () => {
  const messages: Uint8Array[] = []
  using collector = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      if (new URL(request.url).pathname === '/v1/metrics') messages.push(new Uint8Array(await request.arrayBuffer()))
      return new Response()
    },
  })
  {
    await using it = await measured(() => chatReply(), { telemetry: pushingTo(`http://127.0.0.1:${collector.port}/v1/metrics`) })
    await (await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).text()
    while (messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // The last one comes at the end.
  const { resource, metrics } = pushedIn(messages.at(-1) as Uint8Array)
  expect(resource).toMatchObject({ 'service.name': 'corral' })
  expect(resource['service.instance.id']).toBeString()
  expect(metrics.get('gen_ai.server.request.duration')).toMatchObject({
    unit: 's',
    points: [{ attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'up/small' }, count: 1, limits: 14 }],
  })
  expect(metrics.get('corral.provider.models')?.points).toMatchObject([{ attributes: { 'corral.provider': 'up' }, count: 2 }])
  expect(metrics.get('process.memory.usage')?.unit).toBe('By')
})

test('[MET-7] a collector that is out of reach, stalls or refuses costs a line and a counter', async () => {
  const behaviours = [() => new Response(null, { status: 503 }), () => new Promise<Response>(() => undefined)]
  for (const behaviour of behaviours) {
    using collector = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: behaviour })
    const log = recordedLog()
    const telemetry = pushingTo(`http://127.0.0.1:${collector.port}/v1/metrics`)
    await using it = await measured(() => chatReply(), { telemetry }, { log })
    const reported = () => log.lines.filter(({ message }) => message === 'dependency unavailable')
    while (reported().length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).status).toBe(200)
    expect(it.server.services.metrics?.collect()['corral.telemetry.dropped']?.[0]?.labels).toEqual(['metrics'])
    expect(reported()).toHaveLength(1)
    await collector.stop(true)
  }
})

test('[MET-7] points that a collector rejects are logged as a warning and counted, and it is within reach all the same', async () => {
  using collector = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => partialSuccess(7, 'too many series') })
  const log = recordedLog()
  const telemetry = pushingTo(`http://127.0.0.1:${collector.port}/v1/metrics`)
  await using it = await measured(() => chatReply(), { telemetry }, { log })
  expect(await untilDropped(it.server, 'metrics')).toBeGreaterThan(0)
  const line = log.lines.find(({ message }) => message === 'the metrics collector rejected points')
  expect(line).toMatchObject({ level: 'warn', fields: { rejected: 7, why: 'too many series' } })
  expect(log.lines.filter(({ message }) => message === 'dependency unavailable')).toEqual([])
  expect((await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).status).toBe(200)
})

test('[MET-7] a collector that rejects points of every push is reported once, and all the others at the end', async () => {
  let pushes = 0
  using collector = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch() {
      pushes += 1
      return partialSuccess(7, 'too many series')
    },
  })
  const log = recordedLog()
  const reported = () => log.lines.filter(({ message }) => message === 'the metrics collector rejected points')
  {
    await using it = await measured(() => chatReply(), { telemetry: pushingTo(`http://127.0.0.1:${collector.port}/v1/metrics`) }, { log })
    await untilDropped(it.server, 'metrics', 4)
    expect(reported()).toMatchObject([{ level: 'warn', fields: { rejected: 7 } }])
  }
  expect(reported()).toMatchObject([{ fields: { rejected: 7 } }, { fields: { rejected: 7 * (pushes - 1), why: 'too many series' } }])
})

test('[MET-7] a warning of a collector that took everything counts nothing', async () => {
  using collector = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => partialSuccess(0, 'use another path') })
  const log = recordedLog()
  const telemetry = pushingTo(`http://127.0.0.1:${collector.port}/v1/metrics`)
  await using it = await measured(() => chatReply(), { telemetry }, { log })
  while (!log.lines.some(({ message }) => message === 'the metrics collector warns')) await Bun.sleep(20)
  expect(await dropped(it.server, 'metrics')).toBe(0)
})
