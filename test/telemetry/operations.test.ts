import { expect, test } from 'bun:test'
import type { Call } from '../../src/call.ts'
import { ApiError } from '../../src/errors.ts'
import { chat } from '../../src/operations/chat.ts'
import type { Operation } from '../../src/operations/operation.ts'
import type { WireFormat } from '../../src/operations/wire-format.ts'
import { maxTokensOf } from '../../src/quota/estimate.ts'
import type { InferenceFinished } from '../../src/telemetry/event-types.ts'
import { createMetrics } from '../../src/telemetry/metrics/create-metrics.ts'
import { createSpanSink } from '../../src/telemetry/traces/create-span-sink.ts'
import { RequestTrace } from '../../src/telemetry/traces/request-trace.ts'
import { names } from '../../src/telemetry/traces/semconv.ts'
import type { SpanRecord } from '../../src/telemetry/traces/span.ts'
import { createIds } from '../../src/telemetry/traces/trace-ids.ts'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** No field of it is one of OpenAI's, and its replies are not JSON. */
const format: WireFormat = {
  name: 'toy.translation',
  upstreamPath: '/translate',
  governedFields: ['sentence'],
  inputSize: (_body, bytes) => ({ text: bytes, extra: 1, tokens: 0 }),
  outputLimit: ({ words }) => ({ maxTokens: Number(words), isOpen: false, choices: 1 }),
  requestParameters: ({ words }) => ({ maxTokens: Number(words), choices: 2, stopSequences: ['.'], outputType: 'text' }),
  replyFacts: (bytes) => ({ id: text(bytes), finishReasons: ['end'] }),
  replyText: (bytes) => bytes.length,
  frameText: (frame) => frame.length,
  requestMessages: (body) => [{ role: 'user', parts: [{ type: 'text', content: JSON.stringify(body) }] }],
  replyMessages: (bytes) => [{ role: 'assistant', parts: [{ type: 'text', content: text(bytes) }] }],
  frameMessages: (frames) => [{ role: 'assistant', parts: [{ type: 'text', content: frames }] }],
}

const translate: Operation = { ...(chat as Operation), name: 'translate', genAiName: 'translation', format }

const trace = () => {
  const request = new RequestTrace('a'.repeat(32), undefined, true, createIds().spanId)
  return Object.assign(request, { capturesContent: true })
}

function inference(call: Call, over: Partial<InferenceFinished> = {}): InferenceFinished {
  return {
    call,
    provider: 'up',
    providerName: 'toy',
    model: 'm',
    operation: translate,
    format,
    streamed: false,
    outcome: 'completed',
    duration: 20,
    usage: { input: 7, output: 3 },
    requestBody: { sentence: 'Good day', words: 12 },
    reply: new TextEncoder().encode('Guten Tag'),
    ...over,
  }
}

/** The inference's span. */
function spanOf(over: Partial<InferenceFinished> = {}): SpanRecord {
  const spans: SpanRecord[] = []
  const failures: unknown[] = []
  const sink = createSpanSink({
    names: names.latest,
    take: (some) => void spans.push(...some),
    onFailure: (error) => void failures.push(error),
  })
  const call = { requestId: 'r', signal: new AbortController().signal, providerData: {}, trace: trace() }
  sink.inferenceFinished(inference(call, over))
  sink.requestFinished({ ...call, request: { method: 'POST' }, path: '/x', route: '/x', status: 200, startedAt: 0 })
  expect(failures).toEqual([])
  return spans.find(({ kind }) => kind === 'client')!
}

test('[TEL-1] the span of an operation in no list has its name, and what its format reads', () => {
  const { name, attributes, content } = spanOf()
  expect(name).toBe('translation m')
  expect(attributes).toMatchObject({
    'gen_ai.operation.name': 'translation',
    'gen_ai.request.max_tokens': 12,
    'gen_ai.request.choice.count': 2,
    'gen_ai.request.stop_sequences': ['.'],
    'gen_ai.output.type': 'text',
    'gen_ai.response.id': 'Guten Tag',
    'gen_ai.response.finish_reasons': ['end'],
    'gen_ai.usage.output_tokens': 3,
  })
  expect(content?.input).toEqual([{ role: 'user', parts: [{ type: 'text', content: '{"sentence":"Good day","words":12}' }] }])
  expect(content?.output).toEqual([{ role: 'assistant', parts: [{ type: 'text', content: 'Guten Tag' }] }])
  const streamed = spanOf({ streamed: true, reply: undefined, streamedContent: { frames: () => 'Guten|Tag' } })
  expect(streamed.content?.output).toEqual([{ role: 'assistant', parts: [{ type: 'text', content: 'Guten|Tag' }] }])
})

test('[TEL-1] so have its metrics', () => {
  const failures: unknown[] = []
  using metrics = createMetrics({
    conventions: 'v1_41',
    resource: {},
    providers: new Map([['up', 'toy']]),
    scheme: 'http',
    onFailure: (error) => void failures.push(error),
  })
  const call = { requestId: 'r', signal: new AbortController().signal, providerData: {} }
  metrics.sink.inferenceFinished(inference(call))
  metrics.sink.inferenceFinished(inference(call, { operation: { ...translate, genAiName: 'indexing', producesText: false } }))
  expect(failures).toEqual([])
  const labelsOf = (name: string) => metrics.collect()[name]?.map(({ labels }) => labels)
  expect(labelsOf('gen_ai.client.operation.duration')).toEqual([
    ['translation', 'toy', 'up', 'other', ''],
    ['indexing', 'toy', 'up', 'other', ''],
  ])
  expect(labelsOf('gen_ai.client.token.usage')).toEqual([
    ['translation', 'toy', 'up', 'other', 'input'],
    ['translation', 'toy', 'up', 'other', 'output'],
    ['indexing', 'toy', 'up', 'other', 'input'],
  ])
})

test('[TEL-1] and its worst case is what its format says', () => {
  const request = { operation: translate, format, body: { words: 12 }, bytes: 40 }
  const options = { defaultMaxTokens: 100, inputBytesPerToken: 4 }
  expect(maxTokensOf(request, options)).toEqual({ input: 11, output: 12 })
  expect(maxTokensOf({ ...request, operation: { ...translate, producesText: false } }, options)).toEqual({ input: 11, output: 0 })
})

test('[TEL-2] the span of a failed attempt has its failure class', () => {
  const error = new ApiError('upstream_error', 'no room', { status: 529 })
  expect(spanOf({ outcome: 'failed', error }).attributes).toMatchObject({ 'corral.failure.class': 'overloaded' })
  expect(spanOf({ outcome: 'failed', error: new Error('bug') }).attributes['corral.failure.class']).toBe('server_error')
  expect(spanOf().attributes).not.toHaveProperty('corral.failure.class')
})
