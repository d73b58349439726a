import { describe, expect, test } from 'bun:test'
import { chatChunk, chatFrames, chatStream, done, frame, splitAt, stall, usageChunk, type Script } from '../../src/testing/index.ts'
import { upstreamRequests, dataOf, chatBody, startRelay, type ProviderOptions } from './relay-server.ts'

const path = '/v1/chat/completions'
const streaming = { ...chatBody, stream: true }
const asking = { ...streaming, stream_options: { include_usage: true } }

interface ErrorBody {
  status: number
  text: string
  data: string[]
  /** Of the chunks, `[DONE]` and errors left out. */
  chunks: Record<string, unknown>[]
  error: { message: string; type: string; code: string | null; provider?: unknown } | undefined
  content: string
}

async function ask(script: Script, options: ProviderOptions = {}, body: object = streaming): Promise<ErrorBody> {
  await using on = await startRelay([script], options)
  const response = await on.post(path, body)
  const text = await response.text()
  const data = dataOf(text)
  const parsed = data.filter((item) => item !== '[DONE]').map((item) => JSON.parse(item) as Record<string, unknown>)
  const chunks = parsed.filter((item) => !('error' in item))
  const content = chunks
    .map((chunk) => (chunk as { choices?: { delta?: { content?: string } }[] }).choices?.[0]?.delta?.content ?? '')
    .join('')
  await on.upstream.quiet()
  return {
    status: response.status,
    text,
    data,
    chunks,
    content,
    error: parsed.find((item) => 'error' in item)?.['error'] as ErrorBody['error'],
  }
}

function chunkOf(id: string, created: number, rest: string): string {
  return `data: {"id":"${id}","object":"chat.completion.chunk","created":${created},"model":"real","choices":[{"index":0,"delta":{"role":"assistant"${rest}},"x":1.0,"finish_reason":null}],"n\\u00e9w":[1e2]}\n\n`
}

function bare(over: object): string {
  return frame({ choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }], ...over })
}

describe('a whole stream', () => {
  test('[STR-1] keeps its first id and created and the asked model, and everything else as it came', async () => {
    const { text } = await ask({
      body: [chunkOf('a', 5, ',"content":"é"'), chunkOf('b', 6, ',"content":"\\u00e9"'), chunkOf('a', 5, ''), done],
    })
    const expected = (rest: string): string => chunkOf('a', 5, rest).replace('"real"', '"up/m"')
    expect(text).toBe(expected(',"content":"é"') + expected(',"content":"\\u00e9"') + expected('') + done)
  })

  test('has a content type and forbids buffering', async () => {
    await using on = await startRelay([chatStream()])
    const { headers, status } = await on.post(path, streaming)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toStartWith('text/event-stream')
    expect(headers.get('cache-control')).toBe('no-cache')
    expect(headers.get('x-accel-buffering')).toBe('no')
  })

  test('gets an id, a time and the model where the upstream has none, or empty ones, the same on every chunk', async () => {
    const { chunks } = await ask({
      body: [bare({ id: '', created: 0, model: '' }), bare({}), bare({ id: 'late', created: 7, model: 'r' }), frame({}), done],
    })
    expect(chunks).toHaveLength(4)
    const [{ id, created }] = chunks as [{ id: string; created: number }]
    expect(id).toStartWith('chatcmpl-')
    expect(created).toBeGreaterThan(1_700_000_000)
    for (const chunk of chunks) expect(chunk).toMatchObject({ id, created, model: 'up/m' })
  })

  test('[HST-3] has the object of a chunk in each frame, also where the upstream sends another', async () => {
    const { chunks } = await ask({
      body: [
        bare({}),
        bare({}),
        bare({ object: null }),
        bare({ object: '' }),
        chatChunk({ content: 'a' }),
        bare({ object: 'x' }),
        frame({}),
        done,
      ],
    })
    const kind = 'chat.completion.chunk'
    expect(chunks.map((chunk) => chunk['object'])).toEqual([kind, kind, kind, kind, kind, kind, kind])
    await using on = await startRelay([{ body: [frame({ choices: [{ index: 0, text: 'a' }] }), done] }])
    const text = await (await on.post('/v1/completions', { model: 'up/m', prompt: 'a', stream: true })).text()
    expect(JSON.parse(dataOf(text)[0]!)).toMatchObject({ object: 'text_completion', model: 'up/m', choices: [{ index: 0, text: 'a' }] })
  })

  test('keys in any order, twice, or written with escapes are edited all the same', async () => {
    const odd = '{"choices":[],"model":"a","mod\\u0065l":"b","created":3,"id":"x","id":"y"}'
    const { chunks } = await ask({ body: [`data: ${odd}\n\n`, `data: ${odd}\n\n`, chatChunk({ content: 'a' }), done] })
    for (const chunk of chunks) expect(chunk).toMatchObject({ id: 'y', created: 3, model: 'up/m' })
  })

  test('usage reaches only the caller that asked, wherever the upstream puts it', async () => {
    const all = { body: chatFrames() }
    expect((await ask(all)).text).not.toContain('total_tokens')
    expect((await ask(all, {}, asking)).chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 12 } })
    const onLast = {
      body: [chatChunk({ content: 'a' }), chatChunk({}, 'stop', { usage: { prompt_tokens: 1, completion_tokens: 2 } }), done],
    }
    expect((await ask(onLast)).chunks).toHaveLength(2)
  })

  test('a chunk without choices and usage passes: prompt filters come so', async () => {
    const { chunks } = await ask({ body: [frame({ choices: [], prompt_filter_results: [1] }), ...chatFrames()] })
    expect(chunks[0]).toMatchObject({ choices: [], prompt_filter_results: [1] })
  })

  test.each([
    ['CRLF', chatFrames().join('').replaceAll('\n', '\r\n')],
    ['CR', chatFrames().join('').replaceAll('\n', '\r')],
    ['no space after data:', chatFrames().join('').replaceAll('data: ', 'data:')],
    [
      'comments and other fields',
      `: hello\n\n${chatFrames()
        .map((item) => `event: message\nid: 1\nretry: 5\n${item}: ping\n\n`)
        .join('')}`,
    ],
    [
      'data over several lines',
      chatFrames()
        .map((item) => item.replaceAll(',"', ',\ndata: "'))
        .join(''),
    ],
    ['no empty line at the end', chatFrames().join('').trimEnd()],
    ['frames after [DONE]', `${chatFrames().join('')}data: invalid\n\n`],
  ])('with %s reads the same', async (_, text) => {
    const { content, data, error, text: errorBody } = await ask({ body: [text] })
    expect({ content, error }).toEqual({ content: 'Hello there.', error: undefined })
    expect(data.at(-1)).toBe('[DONE]')
    expect(errorBody).not.toContain('\r')
    expect(
      errorBody
        .split('\n\n')
        .slice(0, -1)
        .every((item) => item.startsWith('data: ')),
    ).toBe(true)
  })

  test('split at any byte, through characters too, reads the same', async () => {
    const text = new TextEncoder().encode([chatChunk({ content: '語😀é' }), ...chatFrames()].join(''))
    const whole = await ask({ body: [text] })
    for (const step of [1, 3, 7, 50]) {
      const places = Array.from({ length: Math.ceil(text.length / step) - 1 }, (_, at) => (at + 1) * step)
      const { text: errorBody } = await ask({ body: splitAt(text, ...places) })
      expect(errorBody).toBe(whole.text)
    }
  })

  test('a frame of 10 MB passes', async () => {
    const { content } = await ask({ body: [chatChunk({ content: 'x'.repeat(10_000_000) }), ...chatFrames()] })
    expect(content.length).toBe(10_000_000 + 'Hello there.'.length)
  })

  test('without [DONE] gets one where a finish reason is what ends it', async () => {
    const options = { terminal: 'finish_reason' } as const
    const frames = chatFrames()
    const { data, error } = await ask({ body: frames.slice(0, -1) }, options)
    expect(error).toBeUndefined()
    expect(data.filter((item) => item === '[DONE]')).toHaveLength(1)
    expect((await ask({ body: frames }, options)).data.filter((item) => item === '[DONE]')).toHaveLength(1)
    expect((await ask({ body: [...frames.slice(0, -1), { wait: 50 }], end: 'reset' }, options)).data.at(-1)).toBe('[DONE]')
    expect((await ask({ body: frames.slice(0, -3) }, options)).error?.code).toBe('upstream_interrupted')
    const second = frame({ choices: [{ index: 1, delta: {}, finish_reason: 'length' }] })
    expect((await ask({ body: frames.slice(0, -1) }, options, { ...streaming, n: 2 })).error?.code).toBe('upstream_interrupted')
    expect((await ask({ body: [...frames.slice(0, -1), second] }, options, { ...streaming, n: 2 })).data.at(-1)).toBe('[DONE]')
  })
})

describe('a stream that fails', () => {
  test.each([
    ['ends without [DONE]', 'whole'],
    ['is cut', 'cut'],
    ['is reset', 'reset'],
  ] as const)('[STR-8] because it %s ends with an error and without [DONE]', async (_, end) => {
    const { error, data, content, status } = await ask({ body: chatFrames().slice(0, 3), end })
    expect(status).toBe(200)
    // What arrives in one breath with a reset may be lost with it.
    expect('Hello there').toStartWith(content)
    expect(error).toMatchObject({ type: 'upstream_error', code: 'upstream_interrupted' })
    expect(error?.message).toContain("'up'")
    expect(data).not.toContain('[DONE]')
    expect(data.at(-1)).toContain('"error"')
  })

  test('because no more data arrives ends in time with an error', async () => {
    const { error, data } = await ask({ body: [chatFrames()[0]!, stall] }, { network: { idleTimeout: 40 } })
    expect(error).toMatchObject({ type: 'upstream_error', code: 'upstream_timeout' })
    expect(data).toHaveLength(2)
  })

  test.each([
    ['from the start', []],
    ['in the middle', [chatFrames()[0]!]],
  ])('because only comments arrive, %s, ends in time with an error', async (_, before) => {
    const comments = Array.from({ length: 400 }, () => [': still here\n\n', { wait: 5 }]).flat()
    const { error, data } = await ask(
      { body: [...before, ...comments, stall] },
      { network: { firstByteTimeout: 200, idleTimeout: 10_000 } },
    )
    expect(error).toMatchObject({ type: 'upstream_error', code: 'upstream_timeout' })
    expect(error?.message).toContain("Provider 'up' timed out: no data received for 0.2 s (keep-alives only).")
    expect(data).toHaveLength(before.length + 1)
  })

  test('comments between frames take nothing from a stream’s time', async () => {
    const frames = chatFrames().flatMap((item) => [{ wait: 100 }, ': ping\n\n', { wait: 100 }, item])
    const { error, content } = await ask({ body: frames }, { network: { firstByteTimeout: 1000, idleTimeout: 10_000 } })
    expect({ error, content }).toEqual({ error: undefined, content: 'Hello there.' })
  })

  test.each([
    ['broken JSON', 'data: {"choices":[{"delta":{"content":"secret\n\n'],
    ['a text', 'data: hello\n\n'],
    ['a list', 'data: []\n\n'],
    ['a number', 'data: 12\n\n'],
    ['two objects', 'data: {}{}\n\n'],
  ])('because a frame is %s passes nothing of it on', async (_, bad) => {
    const { error, data, content } = await ask({ body: [chatChunk({ content: 'good' }) + bad + chatFrames().join('')] })
    expect(error).toMatchObject({ type: 'upstream_error', code: 'upstream_invalid_response' })
    expect(content).toBe('good')
    expect(data).toHaveLength(2)
  })

  test('because a frame is endless stops', async () => {
    const { error } = await ask({ body: ['data: {"a":"', ...Array<string>(17).fill('x'.repeat(1024 * 1024)), stall] })
    expect(error).toMatchObject({ code: 'upstream_invalid_response' })
  })

  test.each([
    [
      'OpenAI’s',
      frame({ error: { message: 'Out of memory', type: 'server_error', code: 'oom' } }),
      { message: 'Out of memory', type: 'server_error', code: 'oom' },
    ],
    [
      'with choices beside it',
      frame({ id: '1', choices: [{ index: 0, delta: {} }], error: { code: 502, message: 'Provider gone' } }),
      { message: 'Provider gone', code: '502' },
    ],
    [
      'an error event',
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
      { message: 'Overloaded', type: 'overloaded_error' },
    ],
    ['an error event of text', 'event: error\ndata: it broke\n\n', { message: 'it broke', type: 'upstream_error' }],
    [
      'an object of type error',
      frame({ object: 'error', message: 'Bad', type: 'BadRequestError', code: 400 }),
      { message: 'Bad', type: 'BadRequestError' },
    ],
    ['FastAPI’s', frame({ detail: 'Not today' }), { message: 'Not today' }],
  ])('because of an error inside it (%s) reports the provider’s message and ends', async (_, bad, expected) => {
    const { error, data, content } = await ask({ body: [chatChunk({ content: 'good' }), bad, ...chatFrames()] })
    expect(error).toMatchObject({ ...expected, provider: { id: 'up', status: 200 } })
    expect(content).toBe('good')
    expect(data).toHaveLength(2)
  })

  test('does so with one line in the log', async () => {
    await using on = await startRelay([{ body: chatFrames().slice(0, 2), end: 'reset' }])
    await (await on.post(path, streaming)).text()
    const lines = on.lines.filter(({ level }) => level === 'warn' || level === 'error')
    expect(lines).toHaveLength(1)
    expect(JSON.stringify(lines[0])).toContain('before the response was complete')
  })
})

describe('usage', () => {
  test('is on the line of the log, asked for or not', async () => {
    await using on = await startRelay([chatStream(), { body: [...chatFrames().slice(0, -2), usageChunk, done] }])
    await (await on.post(path, streaming)).text()
    await (await on.post(path, asking)).text()
    const lines = on.lines.filter(({ message, fields }) => message === 'request' && fields['route'] === path)
    expect(lines.map(({ fields }) => [fields['input_tokens'], fields['output_tokens']])).toEqual([
      [9, 3],
      [9, 3],
    ])
    expect(upstreamRequests(on)).toHaveLength(2)
  })
})
