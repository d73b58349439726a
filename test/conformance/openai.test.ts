import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { OpenAI } from 'openai'
import { ContentFilterFinishReasonError, LengthFinishReasonError } from 'openai/core/error'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { chatChunk, failureOf, refusingUrl } from '../../src/testing/index.ts'
import { person, startConformance, vector, type Conformance } from './upstream.ts'

let running: Conformance

beforeAll(async () => {
  running = await startConformance()
})

afterAll(async () => {
  await running[Symbol.asyncDispose]()
})

const user = (content: string) => [{ role: 'user', content }] as const
const Person = z.object({ name: z.string(), age: z.number() })
const weather = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
} as const

describe.each(['sockets', 'in process'] as const)('[SDK-1] the official OpenAI client over %s', (transport) => {
  const client = (over: object = {}) =>
    new OpenAI({
      baseURL: `${running.server.url}/v1`,
      apiKey: 'unused',
      maxRetries: 0,
      fetch: running.transports[transport],
      ...over,
    })

  test('chats', async () => {
    const completion = await client().chat.completions.create({ model: 'mock/gpt-mock', messages: [...user('Hi')] })
    expect(completion.model).toBe('mock/gpt-mock')
    expect(completion.choices[0]?.message.content).toBe('Hello there.')
    expect(completion.usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 })
  })

  test('gets the request id that errors and logs carry', async () => {
    const { request_id, response } = await client()
      .chat.completions.create({ model: 'mock/gpt-mock', messages: [...user('Hi')] })
      .withResponse()
    expect(request_id).toBe(response.headers.get('x-request-id'))
    expect(request_id).toBeTruthy()
  })

  test('streams, with one id, model and time for all chunks', async () => {
    const stream = await client().chat.completions.create({ model: 'mock/gpt-mock', messages: [...user('Hi')], stream: true })
    let text = ''
    const heads = new Set<string>()
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      heads.add(`${chunk.id} ${chunk.model} ${chunk.created}`)
      expect(chunk.usage ?? null).toBeNull()
    }
    expect(text).toBe('Hello there.')
    expect([...heads]).toHaveLength(1)
    expect([...heads][0]).toContain(' mock/gpt-mock ')
  })

  test('streams usage when it asks for it', async () => {
    const stream = await client().chat.completions.create({
      model: 'mock/gpt-mock',
      messages: [...user('Hi')],
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 12 } })
  })

  test('folds a stream with its helper', async () => {
    const stream = client().chat.completions.stream({ model: 'gpt-mock', messages: [...user('Hi')] })
    const pieces: string[] = []
    stream.on('content', (piece) => pieces.push(piece))
    const final = await stream.finalChatCompletion()
    expect(pieces.join('')).toBe('Hello there.')
    expect(final.model).toBe('gpt-mock')
    expect(final.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant', content: 'Hello there.' } })
  })

  test('gets tool calls, whole and streamed', async () => {
    const request = { model: 'mock/gpt-mock', messages: [...user('weather')], tools: [weather] }
    const whole = await client().chat.completions.create(request)
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [{ id: 'call_mock' }] } })
    const stream = client().chat.completions.stream(request)
    const final = await stream.finalChatCompletion()
    expect(final.choices[0]?.message.tool_calls).toMatchObject([
      { id: 'call_mock', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
      { id: 'call_mock_2', type: 'function', function: { name: 'get_time', arguments: '{}' } },
    ])
  })

  test('parses tool arguments', async () => {
    const tool = zodFunction({ name: 'get_weather', parameters: z.object({ city: z.string() }) })
    const parsed = await client().chat.completions.parse({ model: 'mock/gpt-mock', messages: [...user('weather')], tools: [tool] })
    expect(parsed.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { parsed_arguments: { city: 'Oslo' } } })
  })

  test('parses structured output, whole and streamed', async () => {
    const request = { model: 'mock/gpt-mock', messages: [...user('person')], response_format: zodResponseFormat(Person, 'person') }
    const whole = await client().chat.completions.parse(request)
    expect(whole.choices[0]?.message.parsed).toEqual(person)
    const final = await client().chat.completions.stream(request).finalChatCompletion()
    expect(final.choices[0]?.message.parsed).toEqual(person)
  })

  test('completes text, whole and streamed', async () => {
    const whole = await client().completions.create({ model: 'mock/gpt-mock', prompt: 'Hi' })
    expect(whole).toMatchObject({ model: 'mock/gpt-mock', choices: [{ text: 'Hello there.' }] })
    const stream = await client().completions.create({ model: 'mock/gpt-mock', prompt: 'Hi', stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe('Hello there.')
    expect(new Set(chunks.map(({ model }) => model))).toEqual(new Set(['mock/gpt-mock']))
  })

  test('embeds, as floats and as base64', async () => {
    const model = 'mock/text-embedding-mock'
    const byDefault = await client().embeddings.create({ model, input: 'Hi' })
    expect([...(byDefault.data[0]?.embedding ?? [])]).toEqual(vector)
    const floats = await client().embeddings.create({ model, input: ['Hi'], encoding_format: 'float' })
    expect(floats.data[0]?.embedding).toEqual(vector)
    expect(floats.model).toBe(model)
    const base64 = await client().embeddings.create({ model, input: 'Hi', encoding_format: 'base64' })
    expect(base64.data[0]?.embedding as unknown).toBe(Buffer.from(new Float32Array(vector).buffer).toString('base64'))
  })

  test('lists and retrieves models', async () => {
    const models = await Array.fromAsync(client().models.list())
    expect(models.map(({ id }) => id)).toEqual(['mock/gpt-mock', 'mock/openai/gpt-oss-120b', 'mock/text-embedding-mock'])
    for (const model of models) expect(await client().models.retrieve(model.id)).toEqual(model)
    expect((await client().models.retrieve('openai/gpt-oss-120b')).id).toBe('mock/openai/gpt-oss-120b')
  })

  test('uses the older base URL', async () => {
    const older = client({ baseURL: `${running.server.url}/v1/openai/v1` })
    expect((await older.models.list()).data).toHaveLength(3)
    const completion = await older.chat.completions.create({ model: 'gpt-mock', messages: [...user('Hi')] })
    expect(completion.choices[0]?.message.content).toBe('Hello there.')
  })

  test.each([
    [400, OpenAI.BadRequestError],
    [401, OpenAI.AuthenticationError],
    [403, OpenAI.PermissionDeniedError],
    [404, OpenAI.NotFoundError],
    [409, OpenAI.ConflictError],
    [422, OpenAI.UnprocessableEntityError],
    [429, OpenAI.RateLimitError],
    [500, OpenAI.InternalServerError],
    [503, OpenAI.InternalServerError],
    [418, OpenAI.APIError],
  ] as const)('raises the class of a provider’s %d, streamed or not', async (status, Class) => {
    for (const stream of [false, true]) {
      const error = await failureOf(
        client().chat.completions.create({ model: 'mock/gpt-mock', messages: [...user(`status ${status}`)], stream }),
      )
      expect(error).toBeInstanceOf(Class)
      expect(error).toMatchObject({ status, code: `mock_${status}`, type: 'mock_error' })
      expect((error as Error).message).toContain(`The mock says ${status}.`)
    }
    const embedding = await failureOf(client().completions.create({ model: 'mock/gpt-mock', prompt: `status ${status}` }))
    expect(embedding).toBeInstanceOf(Class)
  })

  test('raises the class of our own refusals, with the field at fault', async () => {
    const unknown = await failureOf(client().chat.completions.create({ model: 'none', messages: [...user('Hi')] }))
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError)
    expect(unknown).toMatchObject({ status: 404, code: 'model_not_found', param: 'model', type: 'not_found_error' })
    const wrong = await failureOf(client().chat.completions.create({ model: 'mock/gpt-mock', messages: [{ role: 7 } as never] }))
    expect(wrong).toBeInstanceOf(OpenAI.BadRequestError)
    expect(wrong).toMatchObject({ status: 400, type: 'invalid_request_error', param: expect.stringContaining('messages[0]') })
    const absent = await failureOf(client().models.retrieve('none/such'))
    expect(absent).toBeInstanceOf(OpenAI.NotFoundError)
    const kept = await failureOf(client().models.delete('mock/gpt-mock'))
    expect(kept).toBeInstanceOf(OpenAI.PermissionDeniedError)
  })

  test('raises an error when a stream is cut, never a complete response', async () => {
    const request = { model: 'mock/gpt-mock', messages: [...user('fail in the middle')] }
    const seen = Promise.withResolvers<void>()
    running.upstream.enqueue({ body: [chatChunk({ role: 'assistant', content: 'Hel' }), { until: seen.promise }], end: 'cut' })
    const stream = await client().chat.completions.create({ ...request, stream: true })
    const pieces: string[] = []
    const error = await failureOf(
      (async () => {
        for await (const chunk of stream) {
          pieces.push(chunk.choices[0]?.delta.content ?? '')
          seen.resolve()
        }
      })(),
    )
    expect(pieces).toEqual(['Hel'])
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).toMatchObject({ type: 'upstream_error' })
    expect(await failureOf(client().chat.completions.stream(request).finalChatCompletion())).toBeInstanceOf(OpenAI.APIError)
  })

  test('raises what it makes of finish reasons', async () => {
    const format = zodResponseFormat(Person, 'person')
    for (const [content, Class] of [
      ['too long', LengthFinishReasonError],
      ['filtered', ContentFilterFinishReasonError],
    ] as const) {
      const request = { model: 'mock/gpt-mock', messages: [...user(content)], response_format: format }
      expect(await failureOf(client().chat.completions.parse(request))).toBeInstanceOf(Class)
    }
  })

  test('times out and gives up, and the upstream connection is closed', async () => {
    const request = { model: 'mock/gpt-mock', messages: [...user('stall')] }
    const before = running.upstream.requests.length
    const timeout = await failureOf(client({ timeout: 20 }).chat.completions.create(request))
    expect(timeout).toBeInstanceOf(OpenAI.APIConnectionTimeoutError)
    await (
      await running.upstream.received(before + 1)
    ).finished
    const leaving = new AbortController()
    const pending = failureOf(client().chat.completions.create(request, { signal: leaving.signal }))
    const asked = await running.upstream.received(before + 2)
    leaving.abort()
    expect(await pending).toBeInstanceOf(OpenAI.APIUserAbortError)
    await asked.finished
    expect(asked.aborted).toBe(true)
  })
})

test('[SDK-1] a server that is not there is an APIConnectionError', async () => {
  const client = new OpenAI({ baseURL: `${await refusingUrl()}/v1`, apiKey: 'unused', maxRetries: 0 })
  const error = await failureOf(client.models.list())
  expect(error).toBeInstanceOf(OpenAI.APIConnectionError)
})

test('all responses to these clients conform to the published schemas', () => {
  expect(running.violations).toEqual([])
})
