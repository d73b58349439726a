import { expect, test } from 'bun:test'
import { SpanQueue } from '../../../src/telemetry/traces/span-queue.ts'
import type { SpanRecord } from '../../../src/telemetry/traces/span.ts'
import type { FromWorker, ToWorker, WorkerSettings } from '../../../src/telemetry/worker/messages.ts'
import { waitOf } from '../../../src/telemetry/worker/otlp-sender.ts'
import { SpanExporter } from '../../../src/telemetry/worker/span-exporter.ts'
import { until } from './trace-server.ts'

const span = (spanId: string): SpanRecord => ({
  traceId: 'a'.repeat(32),
  spanId,
  name: 'x',
  kind: 'server',
  start: 1,
  end: 2,
  attributes: {},
  status: 'unset',
  sampled: true,
  kept: 'sampled',
  owner: { requestId: 'r' },
})

function world(capacity: number) {
  const posted: ToWorker[] = []
  const reported: unknown[] = []
  const thread: { hear?: (message: FromWorker) => void; end?: (cause: unknown) => void; starts: number } = { starts: 0 }
  const queue = new SpanQueue({
    settings: {} as WorkerSettings,
    capacity,
    delay: 1,
    events: {
      dropped: (spans, where) => void reported.push([spans, where]),
      rejected: (spans, why) => void reported.push([spans, why]),
      failed: (what) => void reported.push(what),
      recovered: (what) => void reported.push(`${what} is back`),
    },
    start: (hear, end) => {
      Object.assign(thread, { hear, end, starts: thread.starts + 1 })
      return { post: (message) => void posted.push(message), keepAlive: () => undefined, terminate: () => Promise.resolve() }
    },
  })
  return { queue, posted, reported, thread }
}

test('[TRC-6] a thread that does not keep up costs spans, which are counted, and nothing else', async () => {
  const { queue, posted, reported, thread } = world(4)
  for (let count = 0; count < 6; count++) queue.take([span(`${count}`)])
  await until(() => posted.length === 1)
  queue.take([span('7')])
  expect(reported).toEqual([
    [1, 'queue'],
    [1, 'queue'],
    [1, 'queue'],
  ])
  thread.hear?.({ kind: 'done', spans: 4 })
  queue.take([span('8')])
  await until(() => posted.length === 2)
  expect(reported).toHaveLength(3)
})

test('[TRC-6] a thread that dies loses what it had, is reported once and not restarted at once', async () => {
  const { queue, posted, reported, thread } = world(10)
  queue.take([span('1')])
  await until(() => posted.length === 1)
  thread.end?.(new Error('gone'))
  queue.take([span('2')])
  await until(() => reported.length === 3)
  expect(reported).toEqual([[1, 'queue'], 'thread', [1, 'queue']])
  expect(thread.starts).toBe(1)
  await queue.flush(1)
  await queue.close(1)
})

test('[TRC-7] flushing and closing end at their limit', async () => {
  const { queue, posted } = world(10)
  queue.take([span('1')])
  await queue.flush(5)
  await queue.close(5)
  expect(posted.map((message) => message.kind)).toEqual(['spans', 'flush', 'close'])
})

test('[TRC-6] an exporter keeps no more than its queue, and sends each span once', async () => {
  const sent: number[] = []
  const reported: FromWorker[] = []
  let responses = false
  const exporter = new SpanExporter({
    encode: (spans) => new Uint8Array(spans.length),
    send: (message) => {
      if (responses) sent.push(message.length)
      return Promise.resolve(responses ? { kind: 'sent' } : { kind: 'retry', why: 'down' })
    },
    post: (message) => void reported.push(message),
    queueSize: 10,
    batchSize: 4,
    delay: 1,
    initialRetryDelay: 1,
    maxRetryDelay: 2,
  })
  for (let count = 0; count < 13; count++) exporter.add([span(`${count}`)])
  await until(() => reported.some((message) => message.kind === 'failed'))
  responses = true
  await until(() => sent.reduce((sum, count) => sum + count, 0) === 10)
  expect(sent.every((count) => count <= 4)).toBe(true)
  const dropped = reported.filter((message) => message.kind === 'dropped')
  expect(dropped.reduce((sum, message) => sum + message.spans, 0)).toBe(3)
  expect(reported.filter((message) => message.kind === 'failed' || message.kind === 'back').map((message) => message.kind)).toEqual([
    'failed',
    'back',
  ])
  await exporter.close()
})

test('[TRC-6] Retry-After is seconds or a date, and never too long', () => {
  const now = Date.UTC(2026, 0, 1)
  const cases: [string | null, number | undefined][] = [
    ['5', 5_000],
    ['999999999', 300_000],
    ['Thu, 01 Jan 2026 00:00:09 GMT', 9_000],
    ['Thu, 01 Jan 2025 00:00:09 GMT', 0],
    ['soon', undefined],
    [null, undefined],
  ]
  for (const [header, wait] of cases) expect(waitOf(header, now)).toBe(wait)
})

test('[TRC-6] a collector that says to come back at once is not asked without a pause', async () => {
  let requestBody = 0
  const exporter = new SpanExporter({
    encode: () => new Uint8Array(),
    send: () => {
      requestBody += 1
      // One that is asked without a pause would never let this test go on.
      return requestBody > 20 ? new Promise(() => undefined) : Promise.resolve({ kind: 'retry', why: 'busy', retryAfter: 0 })
    },
    post: () => undefined,
    queueSize: 10,
    batchSize: 1,
    delay: 60_000,
  })
  exporter.add([span('1'), span('2')])
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(requestBody).toBe(1)
  await exporter.close()
})

test('[TRC-6] what a collector rejects of each message is reported once a minute', async () => {
  const reported: FromWorker[] = []
  let now = 0
  const exporter = new SpanExporter({
    encode: () => new Uint8Array(),
    send: () => Promise.resolve({ kind: 'sent', partial: { rejected: 1, why: 'full' } }),
    post: (message) => void reported.push(message),
    queueSize: 10,
    batchSize: 1,
    delay: 60_000,
    now: () => now,
  })
  for (let minute = 0; minute < 2; minute++) {
    now = minute * 60_000
    for (let count = 0; count < 3; count++) {
      exporter.add([span(`${minute}${count}`)])
      await exporter.flush()
    }
  }
  await exporter.close()
  expect(reported.filter((message) => message.kind === 'dropped').map((message) => message.spans)).toEqual([1, 1, 1, 1, 1, 1])
  expect(reported.filter((message) => message.kind === 'rejected').map((message) => message.spans)).toEqual([1, 3, 2])
})
