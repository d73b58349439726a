import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { toJsonReply } from '../../src/providers/inference/relay-reply.ts'
import { chatCompletion } from '../../src/schemas/chat.ts'
import { jsonReply } from '../../src/testing/index.ts'
import { chatBody, startRelay } from './relay-server.ts'

const path = '/v1/chat/completions'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function repaired(body: object, capability: 'chat' | 'completions' = 'chat'): { text: string; json: Record<string, unknown> } {
  const { bytes } = toJsonReply(encoder.encode(JSON.stringify(body)), {
    upstream: { id: 'up', secrets: [] },
    status: 200,
    requestedModel: 'up/m',
    operation: capability,
  })
  const text = decoder.decode(bytes)
  return { text, json: JSON.parse(text) as Record<string, unknown> }
}

const call = fc.record(
  {
    index: fc.nat(3),
    id: fc.constantFrom('a', 'b', null, ''),
    type: fc.constantFrom('function', null, ''),
    function: fc.record(
      { name: fc.string(), arguments: fc.oneof(fc.constant('{}'), fc.constant({ a: [1, 'x'] }), fc.constant(null)) },
      { requiredKeys: ['name'] },
    ),
  },
  { requiredKeys: ['function'] },
)
const message = fc.record(
  {
    role: fc.constantFrom('assistant', null),
    content: fc.option(fc.string({ unit: 'grapheme' })),
    refusal: fc.option(fc.string()),
    reasoning_content: fc.string(),
    tool_calls: fc.array(call, { maxLength: 3 }),
  },
  { requiredKeys: [] },
)
const choice = fc.record(
  {
    index: fc.constantFrom(null, 'x', -1),
    message,
    logprobs: fc.constant(null),
    finish_reason: fc.constantFrom('stop', null),
    x: fc.nat(),
  },
  { requiredKeys: ['message'] },
)

describe('a whole response', () => {
  test('[MAL-3] gets what the schema requires and keeps everything else', () => {
    fc.assert(
      fc.property(fc.array(choice, { minLength: 1, maxLength: 3 }), (choices) => {
        const { json } = repaired({ id: 'a', object: 'chat.completion', created: 5, model: 'm', choices })
        const parsed = chatCompletion.parse(json)
        for (const [at, one] of parsed.choices.entries()) {
          const { message: said } = choices[at]!
          expect(one.index).toBe(at)
          expect(one.message.content).toBe(said.content ?? null)
          expect(one.message.refusal).toBe(said.refusal ?? null)
          expect(one.message['reasoning_content']).toBe(said.reasoning_content)
          const calls = (one.message.tool_calls ?? []) as { id: string; type: string; function: { name: string; arguments: string } }[]
          expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length)
          expect(calls.map(({ type, function: fn }) => ({ type, ...fn }))).toEqual(
            (said.tool_calls ?? []).map(({ function: { name, arguments: given } }) => ({
              type: 'function',
              name,
              arguments: typeof given === 'string' ? given : given ? JSON.stringify(given) : '',
            })),
          )
          expect(one.finish_reason).toBe(choices[at]?.finish_reason ?? (calls.length > 0 ? 'tool_calls' : 'stop'))
        }
      }),
      { numRuns: 200 },
    )
  })

  test('[MAL-2] that lacks nothing keeps its bytes', () => {
    const whole = {
      finish_reason: 'stop',
      logprobs: null,
      message: { refusal: null, x: [1.5], content: '"\\', role: 'assistant' },
      index: 0,
    }
    const body = { id: 'a', object: 'chat.completion', created: 5, model: 'up/m', choices: [whole] }
    expect(repaired(body).text).toBe(JSON.stringify(body))
  })

  test('[MAL-3] of a text completion gets index, logprobs and finish reason', () => {
    const { json } = repaired({ choices: [{ text: 'a' }, { text: null, finish_reason: 'length' }] }, 'completions')
    expect(json['choices']).toEqual([
      { index: 0, finish_reason: 'stop', logprobs: null, text: 'a' },
      { index: 1, logprobs: null, text: '', finish_reason: 'length' },
    ])
  })

  test.each([
    ['is no list', { choices: {} }],
    ['holds something else', { choices: [1] }],
    ['has no message', { choices: [{ index: 0 }] }],
    ['has tool calls that are a text', { choices: [{ message: { tool_calls: 'f()' } }] }],
  ])('whose choices cannot be repaired (%s) is a 502', async (_, body) => {
    await using on = await startRelay([jsonReply(body)])
    const response = await on.post(path, chatBody)
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ error: { type: 'upstream_error', code: 'upstream_invalid_response' } })
  })
})
