import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from 'bun:test'
import { chain } from '../../src/testing/tiny-model.ts'
import {
  eventsOf,
  helloMessages,
  startEmbedded,
  type ChatReply,
  type Chunk,
  type ErrorReply,
  type EmbeddedServer,
} from './embedded-server.ts'

// Each process of models takes a second to start, more on a busy machine.
setDefaultTimeout(60_000)

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' }, unit: { enum: ['celsius', 'fahrenheit'] } }, required: ['city'] },
  },
}
const clock = { type: 'function', function: { name: 'now' } }

const letters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

let on: EmbeddedServer
beforeAll(async () => {
  on = await startEmbedded({
    // Says `Hi, you.` to everything.
    tiny: {},
    // Begins the call of a tool; the grammar of the tools does the rest.
    caller: { words: ['||call: '], follow: chain('\n', '||call: ') },
    // One of these letters, each as likely.
    dice: {
      follow: {
        '\n': letters,
        ...Object.fromEntries(letters.map((letter) => [letter, letters])),
      },
    },
    // Has no chat template.
    base: { chatTemplate: false, words: ['User'], follow: chain(':', ' ', 'Y', 'o', '\n', 'User', ':') },
  })
})
afterAll(() => on[Symbol.asyncDispose]())

async function refused(body: object): Promise<ErrorReply['error'] & { status: number }> {
  const response = await on.post('chat/completions', { messages: helloMessages, ...body })
  return { status: response.status, ...((await response.json()) as ErrorReply).error }
}

/** What the dice show. */
async function say(seed: number): Promise<string | null | undefined> {
  const reply = await on.ask<ChatReply>('chat/completions', {
    model: 'llama-cpp/dice',
    messages: helloMessages,
    max_tokens: 20,
    temperature: 1,
    seed,
  })
  return reply.choices[0]?.message.content
}

describe('a chat response', () => {
  test('is whole, counted, and carries the id that was asked for', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', { messages: helloMessages })
    expect(reply.model).toBe('llama-cpp/tiny')
    expect(reply.choices).toMatchObject([{ index: 0, message: { role: 'assistant', content: 'Hi, you.' }, finish_reason: 'stop' }])
    // Template: <s> <|im_start|> user \n Hello? <|im_end|> \n <|im_start|> assistant \n; response: eight characters and the end.
    expect(reply.usage).toEqual({ prompt_tokens: 26, completion_tokens: 9, total_tokens: 35 })
  })

  test('streams as OpenAI streams: role first, one id, a finish reason, usage where asked, [DONE]', async () => {
    const response = await on.post('chat/completions', { messages: helloMessages, stream: true, stream_options: { include_usage: true } })
    expect(response.headers.get('content-type')).toStartWith('text/event-stream')
    const events = await eventsOf(response)
    expect(events.at(-1)).toBe('[DONE]')
    const chunks = events.slice(0, -1) as Chunk[]
    expect(new Set(chunks.map(({ id, created, model, object }) => `${id} ${created} ${model} ${object}`)).size).toBe(1)
    expect(chunks[0]).toMatchObject({
      model: 'llama-cpp/tiny',
      object: 'chat.completion.chunk',
      choices: [{ delta: { role: 'assistant' } }],
    })
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Hi, you.')
    expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' })
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 26, completion_tokens: 9 } })
  })

  test('does not carry usage in a stream unless asked', async () => {
    const events = await eventsOf(await on.post('chat/completions', { messages: helloMessages, stream: true }))
    expect(events.filter((event) => typeof event === 'object' && 'usage' in event && event.usage)).toEqual([])
  })

  test('stops before a stop text, which it does not contain', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', { messages: helloMessages, stop: ['never', 'you'] })
    expect(reply.choices[0]).toMatchObject({ message: { content: 'Hi, ' }, finish_reason: 'stop' })
  })

  test.each(['max_tokens', 'max_completion_tokens'])('ends with `length` after %s', async (field) => {
    const reply = await on.ask<ChatReply>('chat/completions', { messages: helloMessages, [field]: 3 })
    expect(reply.choices[0]).toMatchObject({ message: { content: 'Hi,' }, finish_reason: 'length' })
    expect(reply.usage.completion_tokens).toBe(3)
  })

  test('comes n times', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', {
      model: 'llama-cpp/dice',
      messages: helloMessages,
      n: 3,
      max_tokens: 12,
      temperature: 1,
      seed: 5,
    })
    expect(reply.choices.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(new Set(reply.choices.map(({ message }) => message.content)).size).toBe(3)
    expect(reply.usage).toMatchObject({ prompt_tokens: 26, completion_tokens: 36 })
  })

  test('is the same for the same seed and another for another', async () => {
    expect(await say(7)).toBe(await say(7))
    expect(await say(7)).not.toBe(await say(8))
  })

  test('obeys logit_bias', async () => {
    // Five special tokens, 256 bytes, the space, then the characters from '!' on.
    const id = 5 + 256 + 1 + 'H'.charCodeAt(0) - 33
    const reply = await on.ask<ChatReply>('chat/completions', {
      messages: helloMessages,
      logit_bias: { [id]: -100 },
      max_tokens: 1,
      temperature: 0,
    })
    expect(reply.choices[0]?.message.content).not.toBe('H')
  })

  test('knows the conversation: system and developer texts, parts, several turns', async () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'One' },
          { type: 'text', text: 'two' },
        ],
      },
      { role: 'assistant', content: 'Yes' },
      { role: 'user', content: 'Three' },
    ]
    const reply = await on.ask<ChatReply>('chat/completions', { messages })
    expect(reply.choices[0]?.message.content).toBe('Hi, you.')
    const [alone] = [await on.ask<ChatReply>('chat/completions', { messages: messages.slice(-1) })]
    expect(reply.usage.prompt_tokens).toBeGreaterThan(alone.usage.prompt_tokens + 'Be brief.Be kind.OnetwoYes'.length)
  })

  test('of a model without a template continues a transcript, and ends where the user would speak', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', { model: 'llama-cpp/base', messages: helloMessages })
    expect(reply.choices[0]).toMatchObject({ message: { content: 'Yo' }, finish_reason: 'stop' })
  })
})

describe('structured output', () => {
  test('fits its JSON schema', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string' },
        tags: { type: 'array', items: { $ref: '#/$defs/tag' } },
        size: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
        kind: { enum: ['a', 'b'] },
      },
      required: ['name', 'tags', 'size', 'kind'],
      additionalProperties: false,
      $defs: { tag: { type: 'boolean' } },
    }
    const reply = await on.ask<ChatReply>('chat/completions', {
      messages: helloMessages,
      temperature: 0,
      response_format: { type: 'json_schema', json_schema: { name: 'thing', schema, strict: true } },
    })
    const value = JSON.parse(reply.choices[0]!.message.content!) as Record<string, unknown>
    expect(Object.keys(value)).toEqual(['name', 'tags', 'size', 'kind'])
    expect(value['name']).toBeString()
    expect(value['tags']).toBeArray()
    expect(['a', 'b']).toContain(value['kind'] as string)
    expect(reply.choices[0]?.finish_reason).toBe('stop')
  })

  test('is a JSON object where only that is asked', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', {
      messages: helloMessages,
      temperature: 0,
      response_format: { type: 'json_object' },
    })
    expect(JSON.parse(reply.choices[0]!.message.content!)).toBeObject()
  })

  test.each([
    [
      'a keyword that cannot be enforced, under strict',
      { type: 'object', properties: { a: { type: 'string', pattern: '^a$' } } },
      'properties.a.pattern',
    ],
    ['a reference that leads nowhere', { $ref: '#/$defs/none' }, 'schema'],
    ['a reference to elsewhere', { $ref: 'https://example.com/schema' }, '$ref'],
    ['an unknown type', { type: 'text' }, 'type'],
    ['an empty enum', { enum: [] }, 'enum'],
  ])('refuses %s by name', async (_, schema, param) => {
    const error = await refused({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } } })
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error' })
    expect(error.param).toEndWith(param)
  })
})

describe('tools', () => {
  test('are called, with arguments that fit', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', {
      model: 'llama-cpp/caller',
      messages: helloMessages,
      tools: [weather],
      temperature: 0,
      max_tokens: 200,
    })
    const [choice] = reply.choices
    expect(choice).toMatchObject({ message: { content: null }, finish_reason: 'tool_calls' })
    const [call] = choice!.message.tool_calls!
    expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather' } })
    expect(call!.id).toStartWith('call_')
    expect(Object.keys(JSON.parse(call!.function.arguments) as object)).toEqual(['city', 'unit'])
  })

  test('stream: name and id first, then arguments', async () => {
    const response = await on.post('chat/completions', {
      model: 'llama-cpp/caller',
      messages: helloMessages,
      tools: [weather],
      temperature: 0,
      max_tokens: 200,
      stream: true,
    })
    const events = await eventsOf(response)
    expect(events.at(-1)).toBe('[DONE]')
    const pieces = (events.slice(0, -1) as Chunk[]).flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
    expect(pieces[0]).toMatchObject({ index: 0, type: 'function', function: { name: 'get_weather', arguments: '' } })
    expect(pieces[0]?.id).toBeString()
    const first = pieces.filter(({ index }) => index === 0)
    expect(JSON.parse(first.map((piece) => piece.function?.arguments ?? '').join(''))).toBeObject()
    expect(first.slice(1).every((piece) => piece.id === undefined && piece.function?.name === undefined)).toBeTrue()
    expect((events.at(-2) as Chunk).choices[0]?.finish_reason).toBe('tool_calls')
  })

  test.each([
    ['required', 'required', ['get_weather', 'now']],
    ['named', { type: 'function', function: { name: 'now' } }, ['now']],
  ])('are called when that is %s, whatever the model would rather say', async (_, choice, names) => {
    const reply = await on.ask<ChatReply>('chat/completions', {
      messages: helloMessages,
      tools: [weather, clock],
      tool_choice: choice,
      temperature: 0,
    })
    expect(reply.choices[0]?.finish_reason).toBe('tool_calls')
    const [call] = reply.choices[0]!.message.tool_calls!
    expect(names).toContain(call!.function.name)
    expect(JSON.parse(call!.function.arguments)).toBeObject()
  })

  test('are not called under tool_choice none', async () => {
    const reply = await on.ask<ChatReply>('chat/completions', {
      model: 'llama-cpp/caller',
      messages: helloMessages,
      tools: [weather],
      tool_choice: 'none',
      temperature: 0,
      max_tokens: 5,
    })
    expect(reply.choices[0]).toMatchObject({ finish_reason: 'length' })
    expect(reply.choices[0]?.message.tool_calls).toBeUndefined()
  })

  test('have their results read', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }
    const messages = [...helloMessages, { role: 'assistant', content: null, tool_calls: [call] }]
    const reply = await on.ask<ChatReply>('chat/completions', {
      messages: [...messages, { role: 'tool', tool_call_id: 'call_1', content: '{"sky":"clear"}' }],
      tools: [weather],
    })
    expect(reply.choices[0]?.message.content).toBeString()
    expect(await refused({ messages, tools: [weather] })).toMatchObject({ status: 400, param: 'messages[1].tool_calls[0]' })
    const stray = [...helloMessages, { role: 'tool', tool_call_id: 'call_2', content: 'x' }]
    expect(await refused({ messages: stray })).toMatchObject({ status: 400, param: 'messages[1].tool_call_id' })
  })
})

describe('what is unsupported is refused by name', () => {
  test.each([
    ['images', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }, 'messages[0].content[0]'],
    ['log probabilities', { logprobs: true }, 'logprobs'],
    ['custom tools', { tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools[0].type'],
    [
      'arguments that no grammar holds',
      {
        tools: [
          {
            type: 'function',
            function: { name: 'x', parameters: { type: 'object', properties: { a: { type: 'string', minLength: 100_000 } } } },
          },
        ],
      },
      'tools',
    ],
    ['tools with a response format', { tools: [clock], response_format: { type: 'json_object' } }, 'response_format'],
    ['an unknown tool choice', { tools: [clock], tool_choice: { type: 'function', function: { name: 'other' } } }, 'tool_choice'],
    ['web search', { web_search_options: {} }, 'web_search_options'],
    ['no token at all', { max_tokens: 0 }, 'max_tokens'],
    ['too many choices', { n: 100 }, 'n'],
  ])('%s', async (_, body, param) => {
    expect(await refused(body)).toMatchObject({ status: 400, type: 'invalid_request_error', param })
  })

  test('a prompt longer than the context', async () => {
    const error = await refused({ messages: [{ role: 'user', content: 'x'.repeat(3000) }] })
    expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded' })
    expect(error.message).toContain('2048')
  })

  test('a model that is not there', async () => {
    expect(await refused({ model: 'llama-cpp/nothing' })).toMatchObject({ status: 404, code: 'model_not_found' })
    expect(await refused({ model: 'llama-cpp/../../etc/passwd' })).toMatchObject({ status: 404 })
  })

  test('a model of the catalogue that was not pulled, with the command that does it', async () => {
    const error = await refused({ model: 'llama-cpp/qwen3-1.7b' })
    expect(error.status).toBe(503)
    expect(error.message).toContain('corral models pull qwen3-1.7b')
  })
})

describe('the list of models', () => {
  test('holds the models of the store, and `default` for the default model', async () => {
    const response = await on.server.fetch('/v1/models')
    const { data } = (await response.json()) as { data: { id: string }[] }
    expect(data.map(({ id }) => id).toSorted()).toEqual(['base', 'caller', 'default', 'dice', 'tiny'].map((name) => `llama-cpp/${name}`))
    const reply = await on.ask<ChatReply>('chat/completions', { model: 'llama-cpp/default', messages: helloMessages, max_tokens: 1 })
    expect(reply.model).toBe('llama-cpp/default')
  })
})
