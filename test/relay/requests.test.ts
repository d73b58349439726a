import { describe, expect, test } from 'bun:test'
import { chatFrames, chatReply, chatStream, completionReply, completionStream, jsonReply } from '../../src/testing/index.ts'
import { upstreamRequests, dataOf, chatBody, startRelay } from './relay-server.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

describe('what the upstream is sent', () => {
  test('the caller’s own bytes, numbers, order and white space included, with nothing but the model changed', async () => {
    await using on = await startRelay([chatReply()])
    const body = `{ "messages":[{"role":"user","content":"h\\u00e9\\/"}],\n "temperature":1.0,"seed":12345678901234567890,
      "model" : "up/m", "x_vendor":{"a":[1e2,-0.0]}, "top_p":0.30000000000000004 }`
    expect((await on.post('/v1/chat/completions', body)).status).toBe(200)
    expect(text(upstreamRequests(on)[0]!.bytes)).toBe(body.replace('"up/m"', '"m"'))
  })

  test('what the provider’s definition edits', async () => {
    await using on = await startRelay([chatReply()], {
      editRequest: () => ({ max_tokens: 5, user: undefined }),
      query: { version: '2 3' },
      headers: { 'x-extra': 'yes' },
    })
    await on.post('/v1/chat/completions', { ...chatBody, user: 'me' })
    const [request] = upstreamRequests(on)
    expect(request?.json).toEqual({ ...chatBody, model: 'm', max_tokens: 5 })
    expect(request?.path).toBe('/v1/chat/completions?version=2+3')
    expect(request?.headers).toMatchObject({ 'x-extra': 'yes', 'content-type': 'application/json' })
  })

  test.each([
    [{}, '{"include_usage":true}'],
    [{ stream_options: null }, '{"include_usage":true}'],
    [{ stream_options: { include_usage: false, include_obfuscation: false } }, '{"include_usage":true,"include_obfuscation":false}'],
    [{ stream_options: { include_obfuscation: false } }, '{"include_obfuscation":false,"include_usage":true}'],
    [{ stream_options: { include_usage: true, x: 1 } }, '{"include_usage":true,"x":1}'],
  ])('usage is asked for in a stream, the caller’s options kept: %j', async (options, expected) => {
    await using on = await startRelay([chatStream(), completionStream()])
    await (await on.post('/v1/chat/completions', { ...chatBody, ...options, stream: true })).text()
    await (await on.post('/v1/completions', { model: 'up/m', prompt: 'a', ...options, stream: true })).text()
    for (const { json } of upstreamRequests(on)) expect(JSON.stringify(json?.['stream_options'])).toBe(expected)
  })

  test('usage is not asked for where the provider does not know how, nor where nothing streams', async () => {
    await using on = await startRelay([chatStream(), chatReply()], { streamUsage: false })
    await (await on.post('/v1/chat/completions', { ...chatBody, stream: true, stream_options: { include_usage: true } })).text()
    await on.post('/v1/chat/completions', chatBody)
    for (const { json } of upstreamRequests(on)) expect(json).not.toHaveProperty('stream_options')
  })
})

describe('a JSON response', () => {
  test('passes as it came, with the model that was asked for', async () => {
    const body =
      '{"id":"chatcmpl-1","object":"chat.completion","created":5, "model":"other" ,"choices":[{"finish_reason":"stop" ,"index":0,"message":{"refusal":null,"content":"\\u00e9","role":"assistant","x":1.0},"logprobs":null,"big":12345678901234567890}],"usage":null,"n\\u00e9w":"é"}'
    await using on = await startRelay([{ body }])
    const response = await on.post('/v1/chat/completions', chatBody)
    expect(await response.text()).toBe(body.replace('"other"', '"up/m"'))
    expect(response.headers.get('content-type')).toBe('application/json')
  })

  test('gets the model where the upstream names none', async () => {
    await using on = await startRelay([{ body: '{"id":"1","object":"chat.completion","created":5,"choices":[]}' }])
    const reply = await (await on.post('/v1/chat/completions', chatBody)).json()
    expect(reply).toEqual({ model: 'up/m', id: '1', object: 'chat.completion', created: 5, choices: [] })
  })

  test.each([
    ['{"choices":[],"x":1.0}', '{"id":ID,"created":NOW,"object":"OBJECT","model":"up/m","choices":[],"x":1.0}'],
    [
      '{"id":null, "choices":[],"x":1.0,"created":null,"object":null,"model":null}',
      '{"id":ID, "choices":[],"x":1.0,"created":NOW,"object":"OBJECT","model":"up/m"}',
    ],
    [
      '{"object":"","x":1.0,"created":0,"choices":[],"id":"","id":"","model":""}',
      '{"object":"OBJECT","x":1.0,"created":NOW,"choices":[],"id":"","id":ID,"model":"up/m"}',
    ],
    ['{"created":1.7e9,"choices":[]}', '{"id":ID,"object":"OBJECT","model":"up/m","created":NOW,"choices":[]}'],
    ['{"choices":[],"id":"a\\"","object":"b"}', '{"created":NOW,"model":"up/m","choices":[],"id":"a\\"","object":"OBJECT"}'],
  ])('gets an id, a time and its kind where the upstream has none, and keeps the rest: %s', async (body, expected) => {
    await using on = await startRelay([{ body }, { body }])
    const errorBody = async (path: string, asking: object): Promise<string> => (await on.post(path, asking)).text()
    const pattern = (prefix: string, object: string): RegExp =>
      new RegExp(
        `^${expected.replaceAll(/[[\]{}.\\]/g, String.raw`\$&`).replace('ID', `"${prefix}[0-9a-f]{32}"`)}$`
          .replace('NOW', String.raw`\d{10}`)
          .replace('OBJECT', object),
      )
    expect(await errorBody('/v1/chat/completions', chatBody)).toMatch(pattern('chatcmpl-', 'chat.completion'))
    expect(await errorBody('/v1/completions', { model: 'up/m', prompt: 'a' })).toMatch(pattern('cmpl-', 'text_completion'))
  })

  test('with a byte order mark is read, asked for as a stream or not', async () => {
    const { body } = chatReply('Hi')
    const marked = { headers: { 'content-type': 'application/json' }, body: `\ufeff${body as string}` }
    await using on = await startRelay([marked, marked])
    const whole = await on.post('/v1/chat/completions', chatBody)
    expect(whole.status).toBe(200)
    expect(new Uint8Array(await whole.clone().arrayBuffer())[0]).toBe(0x7b)
    expect(await whole.json()).toMatchObject({ model: 'up/m', choices: [{ message: { content: 'Hi' } }] })
    expect(await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text()).toContain('"content":"Hi"')
  })

  test.each([
    ['HTML', { body: '<html><title>Hi</title></html>', headers: { 'content-type': 'text/html' } }, /an HTML page/],
    ['half of a JSON', { body: '{"choices":[' }, /not a JSON object/],
    ['a list', { body: '[]' }, /not a JSON object/],
    ['nothing', { body: '' }, /an empty body/],
    ['JSON without choices', jsonReply({ id: '1' }), /without 'choices'/],
    ['a stream that breaks off', { body: chatFrames().slice(0, 3) }, /before the response was complete/],
  ])('that is %s is a 502', async (_, script, message) => {
    await using on = await startRelay([script])
    const response = await on.post('/v1/chat/completions', chatBody)
    expect(response.status).toBe(502)
    const { error } = (await response.json()) as { error: { type: string; message: string } }
    expect(error.type).toBe('upstream_error')
    expect(error.message).toMatch(message)
    expect(error.message).toContain("'up'")
  })

  test.each([
    [{ error: { message: 'Slow down', code: 429 } }, 429, 'Slow down'],
    [{ error: { message: 'Bad key', type: 'auth', code: 'invalid_api_key' } }, 502, 'Bad key'],
    [{ object: 'error', message: 'Too long', type: 'BadRequestError', code: 400 }, 400, 'Too long'],
    [{ detail: 'No such thing' }, 502, 'No such thing'],
    [{ status: 503, error: 'Unavailable', message: 'Loading' }, 503, 'Loading'],
  ])('of status 200 that is an error is one: %j', async (body, status, message) => {
    await using on = await startRelay([jsonReply(body)])
    const response = await on.post('/v1/chat/completions', chatBody)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { message, provider: { id: 'up', status: 200, body } } })
    expect(response.headers.get('x-corral-error-source')).toBe('provider')
  })

  test('to a request for a stream becomes a short stream', async () => {
    await using on = await startRelay([
      chatReply('Hi'),
      chatReply('Hi'),
      completionReply('Yo'),
      jsonReply({ error: { message: 'No', code: 403 } }),
    ])
    const body = { ...chatBody, stream: true }
    const chat = dataOf(await (await on.post('/v1/chat/completions', body)).text())
    expect(chat.at(-1)).toBe('[DONE]')
    const chunks = chat.slice(0, -1).map((data) => JSON.parse(data) as Record<string, unknown>)
    expect(chunks).toMatchObject([
      {
        id: 'chatcmpl-mock',
        object: 'chat.completion.chunk',
        model: 'up/m',
        choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi' } }],
      },
      { id: 'chatcmpl-mock', object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    ])
    const asking = await on.post('/v1/chat/completions', { ...body, stream_options: { include_usage: true } })
    expect(JSON.parse(dataOf(await asking.text()).at(-2)!)).toMatchObject({ choices: [], usage: { total_tokens: 12 } })
    const completion = dataOf(await (await on.post('/v1/completions', { model: 'up/m', prompt: 'a', stream: true })).text())
    expect(JSON.parse(completion[0]!)).toMatchObject({ object: 'text_completion', model: 'up/m', choices: [{ text: 'Yo' }] })
    expect((await on.post('/v1/chat/completions', body)).status).toBe(403)
  })
})
