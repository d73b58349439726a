import { describe, expect, test } from 'bun:test'
import { chat } from './chat.ts'
import { completions } from './completions.ts'
import { embeddings } from './embeddings.ts'
import { rerank } from './rerank.ts'

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const lengthOf = (value: unknown) => bytesOf(value).length

describe('input size', () => {
  test('of messages is their text, and a constant for each', () => {
    const body = { model: 'm', messages: [{ role: 'user', content: 'grüß' }], temperature: 1 }
    expect(chat.format.inputSize(body, lengthOf(body))).toMatchObject({ text: 6, extra: 16, tokens: 0 })
  })

  test('of a request with fields that were not measured is the whole body', () => {
    const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }], guided_json: { type: 'object' } }
    expect(chat.format.inputSize(body, lengthOf(body)).text).toBe(lengthOf(body))
  })

  test('of images, sound and files does not count their base64 as text', () => {
    const data = 'A'.repeat(64_000)
    const part = { type: 'input_audio', input_audio: { data, format: 'wav' } }
    const body = { model: 'm', messages: [{ role: 'user', content: [part] }] }
    const { text, extra } = chat.format.inputSize(body, lengthOf(body))
    expect(text).toBe(0)
    expect(extra).toBe(16 + 4_096)
  })

  test('of token ids is their number, and of several prompts each its template', () => {
    expect(completions.format.inputSize({ model: 'm', prompt: [1, 2, 3] }, 30)).toMatchObject({ text: 0, tokens: 3, extra: 8 })
    expect(embeddings.format.inputSize({ model: 'm', input: ['ab', 'c', [1, 2]] }, 40)).toMatchObject({ text: 3, tokens: 2, extra: 24 })
  })

  test('of a rerank counts the query for each document', () => {
    const one = { model: 'm', query: 'qq', items: ['a'] }
    const three = { model: 'm', query: 'qq', items: ['a', 'b', 'c'] }
    const { text } = rerank.format.inputSize(three, lengthOf(three))
    expect(text).toBe(lengthOf(three) + 4)
    expect(rerank.format.inputSize(one, lengthOf(one)).text).toBe(lengthOf(one))
  })

  test('of what is not an object is its length', () => {
    for (const { format } of [chat, rerank]) expect(format.inputSize('text', 6).text).toBe(6)
  })
})

describe('output limit', () => {
  test.each([
    [{}, { maxTokens: 0, isOpen: true, choices: 1 }],
    [{ max_tokens: 5 }, { maxTokens: 5, isOpen: false, choices: 1 }],
    [
      { max_tokens: 5, n_predict: -1 },
      { maxTokens: 5, isOpen: true, choices: 1 },
    ],
    [
      { max_tokens: 5, max_completion_tokens: '9' },
      { maxTokens: 9, isOpen: false, choices: 1 },
    ],
    [{ max_tokens: 0 }, { maxTokens: 0, isOpen: true, choices: 1 }],
    [
      { max_tokens: 1, n: 2, best_of: 3 },
      { maxTokens: 1, isOpen: false, choices: 3 },
    ],
    [
      { max_tokens: 1, n: 2, prompt: ['a', 'b'] },
      { maxTokens: 1, isOpen: false, choices: 4 },
    ],
    [
      { max_tokens: 1, n: 2, prompt: [1, 2, 3] },
      { maxTokens: 1, isOpen: false, choices: 2 },
    ],
  ])('of %j', (body, expected) => {
    expect(completions.format.outputLimit(body)).toEqual(expected)
  })
})

describe('request parameters', () => {
  test('are those that have the right type', () => {
    const body = {
      temperature: 0.5,
      top_p: '1',
      max_tokens: 3,
      max_completion_tokens: 4,
      stream: true,
      n: 2,
      stop: 'end',
      response_format: { type: 'json_schema' },
      reasoning_effort: 'low',
    }
    expect(chat.format.requestParameters(body)).toEqual({
      temperature: 0.5,
      maxTokens: 4,
      stream: true,
      choices: 2,
      stopSequences: ['end'],
      outputType: 'json',
      reasoningLevel: 'low',
    })
    expect(chat.format.requestParameters({ n: 1, stop: ['a', 1], temperature: Infinity, stream: 'yes' })).toEqual({})
    expect(embeddings.format.requestParameters({ dimensions: 8, encoding_format: 'base64' })).toEqual({
      dimensions: 8,
      encodingFormat: 'base64',
    })
  })
})

const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }]
const reply = {
  id: 'chatcmpl-1',
  model: 'up',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'grüß' }, finish_reason: 'stop' },
    { index: 1, message: { role: 'assistant', content: null, tool_calls: calls }, finish_reason: 'tool_calls' },
  ],
}

describe('a reply', () => {
  test('has an id, a model and finish reasons', () => {
    expect(chat.format.replyFacts(bytesOf(reply))).toEqual({ id: 'chatcmpl-1', model: 'up', finishReasons: ['stop', 'tool_calls'] })
    expect(chat.format.replyFacts(bytesOf({ choices: [null, { finish_reason: 1 }] }))).toEqual({ finishReasons: [] })
    expect(chat.format.replyFacts(new TextEncoder().encode('{'))).toBeUndefined()
  })

  test('has the text of its choices, tool calls as JSON', () => {
    expect(chat.format.replyText(bytesOf(reply))).toBe(6 + JSON.stringify(calls).length)
    expect(completions.format.replyText(bytesOf({ choices: [{ text: 'abc' }, null] }))).toBe(3)
    expect(chat.format.replyText(new TextEncoder().encode('no JSON'))).toBe(0)
  })

  test('without generated text is not parsed', () => {
    for (const { format } of [embeddings, rerank]) {
      expect(format.replyFacts(bytesOf(reply))).toBeUndefined()
      expect(format.replyText(bytesOf(reply))).toBe(0)
      expect(format.frameText(`data: ${JSON.stringify(reply)}`)).toBeUndefined()
      expect([...format.replyMessages(bytesOf(reply), 9), ...format.frameMessages(`data: ${JSON.stringify(reply)}\n\n`, 9)]).toEqual([])
    }
  })
})

describe('a frame', () => {
  test('has the text of its deltas; other frames have none', () => {
    expect(chat.format.frameText('data: {"choices":[{"delta":{"role":"assistant","content":"ab"}}]}')).toBe(2)
    expect(completions.format.frameText('data: {"choices":[{"text":"abc"}]}')).toBe(3)
    expect(chat.format.frameText('data: {"choices":[]}')).toBe(0)
    for (const frame of ['data: [DONE]', ': ping', 'data: {"usage":{}}', 'data: {"choi'])
      expect(chat.format.frameText(frame)).toBeUndefined()
  })
})

describe('messages', () => {
  test('of a request are cut to the length', () => {
    const messages = [
      { role: 'system', content: 'abcdef' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'ghijkl' },
          { type: 'image_url', image_url: { url: 'https://example.com' } },
        ],
      },
      { role: 'assistant', tool_calls: calls },
      { role: 'tool', tool_call_id: 'c', content: 'result' },
    ]
    expect(chat.format.requestMessages({ messages }, 4)).toEqual([
      { role: 'system', parts: [{ type: 'text', content: 'abcd' }] },
      { role: 'user', parts: [{ type: 'text', content: 'ghij' }, { type: 'image_url' }] },
      { role: 'assistant', parts: [{ type: 'tool_call', id: 'c', name: 'f', arguments: '{}' }] },
      { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c', response: 'resu' }] },
    ])
    expect(completions.format.requestMessages({ prompt: ['a'] }, 9)).toEqual([
      { role: 'user', parts: [{ type: 'text', content: '["a"]' }] },
    ])
    expect(chat.format.requestMessages({}, 9)).toEqual([])
  })

  test('of a reply have the finish reason', () => {
    expect(chat.format.replyMessages(bytesOf(reply), 100)[1]).toEqual({
      role: 'assistant',
      parts: [{ type: 'tool_call', id: 'c', name: 'f', arguments: '{}' }],
      finish_reason: 'tool_calls',
    })
  })

  test('of a stream are those of the same complete reply', () => {
    const frames = [
      { choices: [{ index: 0, delta: { role: 'assistant', content: 'grü' } }] },
      {
        choices: [
          { index: 0, delta: { content: 'ß' } },
          { index: 1, delta: { tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{' } }] } },
        ],
      },
      { choices: [{ index: 1, delta: { tool_calls: [{ index: 0, function: { arguments: '}' } }] } }] },
      {
        choices: [
          { index: 0, delta: {}, finish_reason: 'stop' },
          { index: 1, delta: {}, finish_reason: 'tool_calls' },
        ],
      },
    ]
    const text = frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join('') + 'data: {"choices":[{"del'
    const [first, second] = chat.format.frameMessages(text, 100)
    expect([first, second?.parts.at(-1)]).toEqual([
      chat.format.replyMessages(bytesOf(reply), 100)[0],
      chat.format.replyMessages(bytesOf(reply), 100)[1]?.parts.at(-1),
    ])
    expect(second?.finish_reason).toBe('tool_calls')
  })
})
