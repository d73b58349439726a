import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { operations } from '../../../src/operations/index.ts'
import { chatReply, chatStream } from '../../../src/testing/index.ts'
import { defaultTelemetry } from '../../../src/telemetry/config.ts'
import { contentOf } from '../../../src/telemetry/traces/content.ts'
import { createContentAttributes } from '../../../src/telemetry/worker/content-attributes.ts'
import { problems } from '../../config/loading.ts'
import { exporting, startTraceServer } from './trace-server.ts'

const question = { messages: [{ role: 'user', content: 'I am alice@example.com' }] }

test('[TRC-14] content stays out of spans unless it is asked for', async () => {
  await using at = await startTraceServer()
  at.upstream.respond(() => chatReply('a secret reply'))
  await at.chat(question)
  const reported = JSON.stringify(await at.spans(2))
  expect(reported).not.toContain('alice')
  expect(reported).not.toContain('secret reply')
})

test.each([true, false])('[TRC-14] where it is, the patterns mask it (streamed: %p)', async (stream) => {
  const receiving = await startTraceServer()
  const telemetry = {
    ...exporting(receiving.receiver.url, { captureContent: true }),
    redact: ['[\\w.]+@[\\w.]+', 'the+re'],
  }
  await using at = await startTraceServer(telemetry)
  at.upstream.respond(() => (stream ? chatStream() : chatReply('Hello there.')))
  await (await at.chat({ ...question, stream })).text()
  const spans = await receiving.spans(2)
  const { attributes } = spans.find((span) => span.kind === 3)!
  expect(JSON.parse(attributes['gen_ai.input.messages'] as string)).toEqual([
    { role: 'user', parts: [{ type: 'text', content: 'I am ***' }] },
  ])
  expect(JSON.parse(attributes['gen_ai.output.messages'] as string)).toEqual([
    { role: 'assistant', parts: [{ type: 'text', content: 'Hello ***.' }], finish_reason: 'stop' },
  ])
  await receiving[Symbol.asyncDispose]()
})

test('[TRC-14] content is bounded, and whatever it is, it is recorded without a failure', () => {
  fc.assert(
    fc.property(fc.anything(), fc.json(), fc.constantFrom(...Object.values(operations)), (requestBody, json, { format }) => {
      expect(contentOf({ format, requestBody, reply: new TextEncoder().encode(json) }, 5)).toBeObject()
      expect(contentOf({ format, requestBody, streamedContent: { frames: () => `data: ${json}\n\n` } }, 5)).toBeObject()
    }),
  )
  const requestBody = { messages: [{ role: 'user', content: 'x'.repeat(100_000) }] }
  const content = contentOf({ format: operations.chat.format, requestBody }, 2_000)
  const span = createContentAttributes([], 1_000)({ content, attributes: {} } as never)
  expect(String(span.attributes['gen_ai.input.messages']).length).toBeLessThan(1_100)
  expect(span.content).toBeUndefined()
  expect(defaultTelemetry.traces.captureContent).toBe(false)
})

test('[TRC-14] a pattern that cannot be read stops the start', async () => {
  expect((await problems("providers: {}\ntelemetry: { redact: ['(a'] }")).join()).toContain('telemetry.redact')
})
