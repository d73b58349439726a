import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { partialSuccessIn } from '../../../src/telemetry/worker/partial-success.ts'
import { chatReply, recordedLog } from '../../../src/testing/index.ts'
import { dropped, untilDropped } from '../dropped.ts'
import { type Behaviour, type OtlpReceiver, otlpReceiver } from './otlp-receiver.ts'
import { exporting, partialSuccess, startTraceServer, type TraceServer, until } from './trace-server.ts'

const outOfReach = 'dependency unavailable'
const back = 'dependency recovered'
const reported = (log: ReturnType<typeof recordedLog>, message: string) => log.lines.filter((line) => line.message === message)

/** Sends enough requests to overflow the span queue; every response is as without a collector. Two spans per chat. */
async function askOften(at: TraceServer, chats: number): Promise<void> {
  for (let count = 0; count < chats; count++) {
    const response = await at.chat()
    expect([response.status, await response.json()]).toMatchObject([200, { object: 'chat.completion' }])
  }
}

/** Distinct received spans: a response after the sender's timeout makes it send a batch again. */
const arrived = ({ spans }: OtlpReceiver) => new Set(spans.map(({ spanId }) => spanId)).size

const never = () => new Promise<Response>(() => undefined)
const responding = (status: number, headers: Record<string, string> = {}) => new Response('no', { status, headers })

const failures: readonly (readonly [string, Behaviour])[] = [
  ['accepts and never answers', never],
  ['answers 429', () => responding(429)],
  ['answers 429 with a date that is over', () => responding(429, { 'retry-after': 'Thu, 01 Jan 2015 00:00:00 GMT' })],
  ['answers 502', () => responding(502)],
  ['answers 503', () => responding(503)],
  ['answers 504', () => responding(504)],
]

/** Few are kept, so that few requests overflow it, and few of them go at once, so that there is a rest to send. */
const small = { queueSize: 8, batchSize: 3 } as const

describe('a collector that fails', () => {
  test.each(failures)('[TRC-6] %s: serving goes on, what is kept comes once it is back, all else is counted', async (_, behaviour) => {
    const log = recordedLog()
    const base = exporting('http://unused', small)
    await using receiver = otlpReceiver()
    const exporter = { ...base.traces.exporter!, url: `${receiver.url}/v1/traces`, timeout: 1_000 }
    await using at = await startTraceServer({ traces: { ...base.traces, exporter } }, { log })
    at.upstream.respond(() => chatReply())
    receiver.behave(behaviour)
    await askOften(at, 12)
    await untilDropped(at.server, 'spans')
    await until(() => reported(log, outOfReach).length > 0)
    expect(reported(log, outOfReach)).toHaveLength(1)
    receiver.behave(() => undefined)
    await until(() => reported(log, back).length > 0)
    while (arrived(receiver) + (await dropped(at.server, 'spans')) < 24) await Bun.sleep(20)
    expect(arrived(receiver) + (await dropped(at.server, 'spans'))).toBe(24)
    expect(arrived(receiver)).toBeGreaterThanOrEqual(small.queueSize)
  })

  test('[TRC-6] refuses connections: the same, and it is found again on its port', async () => {
    const log = recordedLog()
    const first = otlpReceiver()
    await first[Symbol.asyncDispose]()
    await using at = await startTraceServer(exporting(first.url, small), { log })
    at.upstream.respond(() => chatReply())
    await askOften(at, 12)
    await untilDropped(at.server, 'spans')
    await until(() => reported(log, outOfReach).length === 1)
    await using receiver = otlpReceiver({ port: first.port })
    await until(() => reported(log, back).length > 0)
    while (arrived(receiver) + (await dropped(at.server, 'spans')) < 24) await Bun.sleep(20)
    expect(arrived(receiver) + (await dropped(at.server, 'spans'))).toBe(24)
  })

  test('[TRC-6] that says when to come back is left alone until then', async () => {
    await using at = await startTraceServer()
    at.upstream.respond(() => chatReply())
    at.receiver.behave(() => responding(429, { 'retry-after': '2' }))
    await askOften(at, 1)
    await until(() => at.receiver.requests.length === 1)
    at.receiver.behave(() => undefined)
    await at.spans(2)
    const [first, second] = at.receiver.requests
    // A timer may fire early by its resolution; a normal second attempt comes within one second.
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(1_900)
  })
})

describe('a collector that takes a message in part', () => {
  test('[TRC-6] what it rejects is counted, logged as a warning, and not sent again', async () => {
    const log = recordedLog()
    await using at = await startTraceServer({}, { log })
    at.upstream.respond(() => chatReply())
    at.receiver.behave(() => partialSuccess(1, 'no room for x-token s3cret'))
    await askOften(at, 1)
    expect(await untilDropped(at.server, 'spans')).toBe(1)
    await until(() => reported(log, 'the trace collector rejected spans').length === 1)
    const [line] = reported(log, 'the trace collector rejected spans')
    expect(line).toMatchObject({ level: 'warn', fields: { rejected: 1, why: 'no room for x-token ***' } })
    at.receiver.behave(() => undefined)
    await askOften(at, 1)
    await at.spans(2)
    expect([at.receiver.spans.length, at.receiver.requests.length, await dropped(at.server, 'spans')]).toEqual([2, 2, 1])
    expect(reported(log, outOfReach)).toEqual([])
  })

  test('[TRC-6] a warning without a rejection counts nothing; a response that is none of the protocol means taken', async () => {
    const log = recordedLog()
    await using at = await startTraceServer({}, { log })
    at.upstream.respond(() => chatReply())
    at.receiver.behave(() => partialSuccess(0, 'use another path'))
    await askOften(at, 1)
    await until(() => reported(log, 'the trace collector warns').length === 1)
    at.receiver.behave(() => new Response('<html>taken</html>'))
    await askOften(at, 1)
    await until(() => at.receiver.requests.length === 2)
    at.receiver.behave(() => undefined)
    await askOften(at, 1)
    await at.spans(2)
    expect([at.receiver.requests.length, await dropped(at.server, 'spans'), reported(log, outOfReach)]).toEqual([3, 0, []])
  })

  test('every response is read without a failure, and never holds what was sent in headers', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const partial = partialSuccessIn(bytes)
        expect(partial === undefined || (partial.rejected >= 0 && partial.why.length <= 501)).toBe(true)
      }),
    )
    const text = new TextEncoder().encode('got Bearer s3cret-token and s3cret-token')
    const response = new Uint8Array([0x0a, text.length + 4, 0x08, 3, 0x12, text.length, ...text])
    expect(partialSuccessIn(response, ['Bearer s3cret-token'])).toEqual({ rejected: 3, why: 'got *** and ***' })
    expect(partialSuccessIn(new Uint8Array([0x0a, 0]))).toBeUndefined()
    expect(partialSuccessIn(new Uint8Array())).toBeUndefined()
  })
})
