import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Call } from '../../../src/call.ts'
import { chat } from '../../../src/operations/chat.ts'
import type { Conventions } from '../../../src/telemetry/config.ts'
import type { InferenceFinished, RequestFinished } from '../../../src/telemetry/event-types.ts'
import { createWallClock } from '../../../src/telemetry/traces/clock.ts'
import { createSpanSink } from '../../../src/telemetry/traces/create-span-sink.ts'
import { RequestTrace } from '../../../src/telemetry/traces/request-trace.ts'
import { names } from '../../../src/telemetry/traces/semconv.ts'
import { shapeOf } from '../../../src/telemetry/traces/shape.ts'
import type { SpanRecord } from '../../../src/telemetry/traces/span.ts'
import { createIds } from '../../../src/telemetry/traces/trace-ids.ts'
import { runs } from '../../../src/testing/sizes.ts'

const hour = 3_600_000

interface Setting {
  readonly sampled?: boolean
  readonly conventions?: Conventions
}

function world({ sampled = true, conventions = 'v1_41' }: Setting = {}) {
  let now = 5
  const began = Date.UTC(2026, 0, 1)
  const spans: SpanRecord[] = []
  const failures: unknown[] = []
  const wall = createWallClock(
    () => began + now,
    () => now,
  )
  const sink = createSpanSink({
    names: names[conventions],
    take: (some) => void spans.push(...some),
    slowAfter: 1_000,
    onFailure: (error) => void failures.push(error),
    wallClock: wall,
    now: () => now,
  })
  const trace = new RequestTrace('a'.repeat(32), undefined, sampled, createIds().spanId)
  const request = (over: Partial<RequestFinished> = {}): RequestFinished => ({
    requestId: 'r',
    request: { method: 'POST' },
    path: '/v1/x',
    route: '/v1/x',
    status: 200,
    startedAt: 5,
    trace,
    ...over,
  })
  const inference = (over: Partial<InferenceFinished> = {}): InferenceFinished => ({
    call: { requestId: 'r', trace } as unknown as Call,
    provider: 'p',
    providerName: 'gcp.gemini',
    model: 'm',
    operation: chat,
    format: chat.format,
    streamed: true,
    outcome: 'completed',
    duration: now - 5,
    startedAt: 5,
    ...over,
  })
  return { sink, spans, failures, trace, request, inference, began, pass: (time: number) => void (now += time) }
}

test('[TRC-11] a span that is open for an hour has its hour', () => {
  const { sink, spans, request, inference, pass, began } = world()
  pass(hour)
  sink.inferenceFinished(inference())
  sink.requestFinished(request())
  expect(spans.map(({ name, start, end }) => [name, start, end])).toEqual([
    ['POST /v1/x', began + 5, began + 5 + hour],
    ['chat m', began + 5, began + 5 + hour],
  ])
})

test('[TRC-12] what failed or was slow is kept whatever the sampling, and goes to no collector', () => {
  const cases = [
    [{ status: 200 }, 10, undefined],
    [{ status: 200 }, 1_000, 'slow'],
    [{ status: 404 }, 10, 'failed'],
    [{ status: 499 }, 10, undefined],
    [{ status: 200, failure: new Error('cut') }, 10, 'failed'],
    [{ status: 503, route: '/readyz', request: { method: 'GET' } }, 10, 'failed'],
    [{ status: 401, route: '/docs', request: { method: 'GET' } }, 10, undefined],
    [{ status: 200, route: '/v1/health', request: { method: 'HEAD' } }, 2_000, undefined],
    [{ status: 503, route: '/readyz', request: { method: 'HEAD' } }, 10, 'failed'],
  ] as const
  for (const [over, time, kept] of cases) {
    const { sink, spans, request, inference, pass } = world({ sampled: false })
    sink.inferenceFinished(inference())
    pass(time)
    sink.requestFinished(request(over))
    expect([over, spans[0]?.kept, spans.length]).toEqual([over, kept, kept ? 2 : 0])
    expect(spans.every((span) => !span.sampled)).toBe(true)
  }
})

test('[TRC-5] a response that ends after its request belongs to it', () => {
  const { sink, spans, request, inference, trace } = world()
  sink.requestFinished(request())
  sink.inferenceFinished(inference({ spanId: 'c'.repeat(16) }))
  expect(spans.map(({ traceId, parentSpanId, spanId }) => [traceId, parentSpanId, spanId])).toEqual([
    [trace.traceId, undefined, trace.spanId],
    [trace.traceId, trace.spanId, 'c'.repeat(16)],
  ])
})

test('[TRC-13] the newer conventions are one switch away', () => {
  const usage = { input: 10, output: 4, cached: 3, cacheWrite: 2, reasoning: 1 }
  for (const conventions of ['v1_41', 'latest'] as const) {
    const { sink, spans, request, inference } = world({ conventions })
    sink.inferenceFinished(inference({ usage, requestBody: { reasoning_effort: 'low' } }))
    sink.requestFinished(request({ attempt: { provider: 'p', model: 'm', costNanoDollars: 1_500_000 } }))
    const attributes = spans[1]?.attributes ?? {}
    expect(attributes).toMatchObject({
      'gen_ai.provider.name': 'gcp.gemini',
      'gen_ai.usage.input_tokens': 10,
      'gen_ai.usage.cache_read.input_tokens': 3,
      'gen_ai.usage.reasoning.output_tokens': 1,
      'corral.cost_usd': 0.0015,
    })
    const isNew = conventions === 'latest'
    expect(attributes[`gen_ai.usage.cache_${isNew ? 'write' : 'creation'}.input_tokens`]).toBe(2)
    expect(attributes['gen_ai.request.reasoning.level']).toBe(isNew ? 'low' : undefined)
  }
})

test('[TRC-6] whatever an event holds, nothing is thrown', () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), fc.uint8Array(), (error, requestBody, response) => {
      const { sink, request, inference, failures } = world()
      sink.inferenceFinished(inference({ error, requestBody, outcome: 'failed' }))
      sink.inferenceFinished(inference({ requestBody, reply: response }))
      sink.requestFinished(request({ error, status: 500 }))
      expect(failures.length).toBeLessThanOrEqual(1)
    }),
    { numRuns: runs(300) },
  )
})

test('[TRC-4] a shape shows no content', () => {
  expect(shapeOf({ model: 'm', messages: [{ role: 'user', content: 'secret' }], n: 2, stream: true, x: null })).toBe(
    '{model: text 1, messages: [1 × {role: text 4, content: text 6}], n: 2, stream: true, x: null}',
  )
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const marked = JSON.parse(JSON.stringify({ v: value, s: 'canary-text' })) as unknown
      expect(shapeOf(marked)).not.toContain('canary')
    }),
  )
})
