import { expect, test } from 'bun:test'
import { z } from 'zod'
import { chatCompletionRequest } from '../schemas/chat.ts'
import { completionRequest } from '../schemas/completions.ts'
import { embeddingsRequest } from '../schemas/embeddings.ts'
import { rerankRequest } from '../schemas/rerank.ts'
import { toInvalidRequest } from './validation-error.ts'

function refusal(schema: z.ZodType, body: unknown) {
  const result = schema.safeParse(body)
  if (result.success) throw new Error('The body was accepted.')
  const { message, code, param, status, type } = toInvalidRequest(result.error, body)
  expect({ status, type }).toEqual({ status: 400, type: 'invalid_request_error' })
  return { message, code, param }
}

const user = { role: 'user', content: 'hi' }
const chat = (over: object) => ({ model: 'm', messages: [user], ...over })
const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }

/** Body → the field at fault and the kind of fault. */
const chatCases: [string, unknown, string | null, string][] = [
  ['not an object', [], null, 'invalid_type'],
  ['null', null, null, 'invalid_type'],
  ['no model', { messages: [user] }, 'model', 'missing_required_parameter'],
  ['an empty model', chat({ model: '' }), 'model', 'string_below_min_length'],
  ['a model that is a number', chat({ model: 7 }), 'model', 'invalid_type'],
  ['no messages', { model: 'm' }, 'messages', 'missing_required_parameter'],
  ['empty messages', chat({ messages: [] }), 'messages', 'empty_array'],
  ['messages that are text', chat({ messages: 'hi' }), 'messages', 'invalid_type'],
  ['a message that is null', chat({ messages: [null] }), 'messages[0]', 'invalid_type'],
  ['a message without a role', chat({ messages: [{ content: 'hi' }] }), 'messages[0].role', 'missing_required_parameter'],
  ['an unknown role', chat({ messages: [user, { role: 'wizard', content: 'hi' }] }), 'messages[1].role', 'invalid_value'],
  ['a role that is a number', chat({ messages: [{ role: 1, content: 'hi' }] }), 'messages[0].role', 'invalid_value'],
  ['a user who says nothing', chat({ messages: [{ role: 'user' }] }), 'messages[0].content', 'missing_required_parameter'],
  ['content that is null', chat({ messages: [{ role: 'user', content: null }] }), 'messages[0].content', 'invalid_type'],
  ['a part that is a number', chat({ messages: [{ role: 'user', content: [1] }] }), 'messages[0].content[0]', 'invalid_type'],
  [
    'a part without a type',
    chat({ messages: [{ role: 'user', content: [{ text: 'x' }] }] }),
    'messages[0].content[0].type',
    'missing_required_parameter',
  ],
  [
    'an image whose URL is a number',
    chat({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x' },
            { type: 'image_url', image_url: { url: 1 } },
          ],
        },
      ],
    }),
    'messages[0].content[1].image_url.url',
    'invalid_type',
  ],
  [
    'a sound without data',
    chat({ messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { format: 'wav' } }] }] }),
    'messages[0].content[0].input_audio.data',
    'missing_required_parameter',
  ],
  [
    'a tool message for no call',
    chat({ messages: [{ role: 'tool', content: 'x' }] }),
    'messages[0].tool_call_id',
    'missing_required_parameter',
  ],
  [
    'arguments that are not text',
    chat({ messages: [{ role: 'assistant', tool_calls: [call, { ...call, function: { name: 'f', arguments: {} } }] }] }),
    'messages[0].tool_calls[1].function.arguments',
    'invalid_type',
  ],
  ['n: 0', chat({ n: 0 }), 'n', 'integer_below_min_value'],
  ['n: 1.5', chat({ n: 1.5 }), 'n', 'invalid_value'],
  ['n: "2"', chat({ n: '2' }), 'n', 'invalid_type'],
  ['a temperature that is text', chat({ temperature: 'hot' }), 'temperature', 'invalid_type'],
  ['stream: "yes"', chat({ stream: 'yes' }), 'stream', 'invalid_type'],
  ['stream options that are a list', chat({ stream_options: [] }), 'stream_options', 'invalid_type'],
  ['a stop that is a number', chat({ stop: 3 }), 'stop', 'invalid_type'],
  ['a stop in a stop', chat({ stop: ['a', ['b']] }), 'stop[1]', 'invalid_type'],
  ['a tool without a name', chat({ tools: [{ type: 'function', function: {} }] }), 'tools[0].function.name', 'missing_required_parameter'],
  [
    'a grammar without a definition',
    chat({ tools: [{ type: 'custom', custom: { name: 'c', format: { type: 'grammar', grammar: { syntax: 'lark' } } } }] }),
    'tools[0].custom.format.grammar.definition',
    'missing_required_parameter',
  ],
  ['a tool choice that is a number', chat({ tool_choice: 3 }), 'tool_choice', 'invalid_type'],
  ['a tool choice without a function', chat({ tool_choice: { type: 'function' } }), 'tool_choice.function', 'missing_required_parameter'],
  [
    'allowed tools that are none',
    chat({ tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: 'all' } } }),
    'tool_choice.allowed_tools.tools',
    'invalid_type',
  ],
  [
    'a schema without a name',
    chat({ response_format: { type: 'json_schema', json_schema: {} } }),
    'response_format.json_schema.name',
    'missing_required_parameter',
  ],
  ['metadata that is not text', chat({ metadata: { a: 'x', b: 2 } }), 'metadata.b', 'invalid_type'],
  ['a bias that is text', chat({ logit_bias: { 50256: 'never' } }), 'logit_bias.50256', 'invalid_type'],
]

for (const [name, body, param, code] of chatCases) {
  test(`[ERR-4] a chat with ${name} is refused at ${param ?? 'the top'}`, () => {
    expect(refusal(chatCompletionRequest, body)).toMatchObject({ param, code })
  })
}

test('[ERR-4] completions, embeddings and rerank name the field as well', () => {
  expect(refusal(completionRequest, { model: 'm' })).toMatchObject({ param: 'prompt', code: 'missing_required_parameter' })
  expect(refusal(completionRequest, { model: 'm', prompt: 'x', n: 0 })).toMatchObject({ param: 'n' })
  expect(refusal(embeddingsRequest, { model: 'm', input: [] })).toMatchObject({ param: 'input' })
  expect(refusal(embeddingsRequest, { model: 'm', input: [1, 'a'] })).toMatchObject({ param: 'input[1]' })
  expect(refusal(embeddingsRequest, { model: 'm', input: 'x', dimensions: 0 })).toMatchObject({ param: 'dimensions' })
  expect(refusal(rerankRequest, { model: 'm', query: 'q', items: [] })).toMatchObject({ param: 'items', code: 'empty_array' })
  expect(refusal(rerankRequest, { model: 'm', query: 'q', items: ['a', { type: 'text' }] })).toMatchObject({ param: 'items[1].text' })
})

test('the message says what was expected, what came, and never repeats much of it', () => {
  expect(refusal(chatCompletionRequest, chat({ stop: 3 })).message).toBe(
    "Invalid type for 'stop': expected a string or an array, but got a number.",
  )
  expect(refusal(chatCompletionRequest, chat({ n: 0 })).message).toContain('at least 1, but got 0')
  const long = refusal(chatCompletionRequest, chat({ messages: [{ role: 'x'.repeat(10_000), content: '' }] })).message
  expect(long).toContain("Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', 'function'")
  expect(long.length).toBeLessThan(300)
})

test('an unknown key of a strict schema is named', () => {
  const strict = z.strictObject({ a: z.strictObject({ b: z.string().optional() }) })
  expect(refusal(strict, { a: { c: 1 } })).toEqual({ message: "Unknown parameter: 'a.c'.", code: 'unknown_parameter', param: 'a.c' })
})

test('a long list of wrong items is refused at the first, not reported item by item', () => {
  const result = chatCompletionRequest.safeParse(chat({ messages: Array.from({ length: 10_000 }, () => 1) }))
  expect(result.error?.issues).toHaveLength(1)
})
