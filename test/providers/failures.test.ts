import { describe, expect, test } from 'bun:test'
import { openaiCompatibleServer } from '../../src/providers/inference/generic.ts'
import {
  chatChunk,
  chatFrames,
  chatReply,
  chatStream,
  closeBeforeHead,
  done,
  errorReply,
  frame,
  mockUpstream,
  providerEntry,
  recordedLog,
  refusingUrl,
  resetBeforeHead,
  splitAt,
  stall,
  stallBeforeHead,
  testConfig,
  testServer,
  usageChunk,
  type MockOptions,
  type MockRequest,
  type MockUpstream,
  type Pause,
  type RecordedLine,
  type Script,
  type TestServer,
} from '../../src/testing/index.ts'

const key = 'sk-the-operators-own-key-0123456789'
/** Seconds: short, for a stall must be waited out. */
const timeout = { connect: 5, first_byte: 0.15, idle: 0.15 }

interface Scene extends AsyncDisposable {
  upstream: MockUpstream
  server: TestServer
  lines: readonly RecordedLine[]
  ask(body?: object, init?: RequestInit): Promise<Response>
}

async function scene(
  script: Script | undefined,
  options: MockOptions & { baseUrl?: string; timeout?: object | number } = {},
): Promise<Scene> {
  const upstream = await mockUpstream(options)
  upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : script))
  const config = { base_url: options.baseUrl ?? `${upstream.url}/v1`, api_key: key, network: { timeout: options.timeout ?? timeout } }
  const log = recordedLog()
  const server = await testServer(testConfig({ providers: [providerEntry(openaiCompatibleServer, 'mock', config)] }), { log })
  return {
    upstream,
    server,
    lines: log.lines,
    ask: (body = {}, init = {}) =>
      server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'mock/m', messages: [{ role: 'user', content: 'Hi' }], ...body }),
        ...init,
      }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

interface Failure {
  error: { message: string; type: string; code: string | null; provider?: { status: number; body: unknown } }
}

/** The events of a stream's text, `[DONE]` included. */
function events(text: string): string[] {
  return text
    .split('\n\n')
    .filter((part) => part.startsWith('data: '))
    .map((part) => part.slice(6))
}

/** What the deltas of a stream's text say together. */
function contentOf(text: string): string {
  return events(text)
    .filter((data) => data !== '[DONE]')
    .flatMap((data) => (JSON.parse(data) as { choices: { delta: { content?: string } }[] }).choices.map(({ delta }) => delta.content ?? ''))
    .join('')
}

/** Nothing runs on: not here, not at the upstream; and the log has one line for the request, with the cause. */
async function expectQuietEnd({ upstream, server, lines }: Scene, cause?: RegExp): Promise<void> {
  await upstream.quiet()
  while (server.app.running > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const written = lines.filter(({ fields }) => fields.route === '/v1/chat/completions')
  expect(written).toHaveLength(1)
  if (cause) expect(String(written[0]?.fields.cause)).toMatch(cause)
  else expect(written[0]?.fields).not.toHaveProperty('cause')
  expect(JSON.stringify(lines)).not.toContain(key)
}

describe('no answer', () => {
  const cases: readonly [string, Script, number][] = [
    ['reset before the head', resetBeforeHead, 502],
    ['closed before the head', closeBeforeHead, 502],
    ['silent before the head', stallBeforeHead, 504],
    ['no HTTP at all', { raw: 'SSH-2.0-OpenSSH_9.6\r\n', end: 'cut' }, 502],
    ['a body that is cut', { headers: { 'content-length': '1000' }, body: '{"id":', end: 'cut' }, 502],
    ['a body that is reset', { headers: { 'content-length': '1000' }, body: '{"id":', end: 'reset' }, 502],
    ['a body that stalls', { headers: { 'content-length': '1000' }, body: '{"id":', end: 'stall' }, 504],
    ['200 with HTML', { headers: { 'content-type': 'text/html' }, body: '<html>Welcome</html>' }, 502],
    ['200 with half a JSON', { body: '{"id": "x", "choices": [' }, 502],
    ['200 with nothing', { body: '' }, 502],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' }, 502],
  ]

  test.each(cases)('[ERR-3] %s', async (_, script, status) => {
    await using stage = await scene(script)
    const response = await stage.ask()
    expect(response.status).toBe(status)
    const { error } = (await response.json()) as Failure
    expect(error.message).toBeTruthy()
    if (response.headers.get('x-corral-error-source') === null) expect(error.type).toBe('upstream_error')
    await expectQuietEnd(stage, /./)
  })

  test.each(cases.filter(([name]) => name.includes('before the head') || name.includes('no HTTP')))(
    '%s, streamed',
    async (_, script, status) => {
      await using stage = await scene(script)
      const response = await stage.ask({ stream: true })
      expect(response.status).toBe(status)
      expect(((await response.json()) as Failure).error.type).toBe('upstream_error')
      await expectQuietEnd(stage, /./)
    },
  )

  test.each([false, true])('a port that refuses (stream: %p)', async (stream) => {
    await using stage = await scene(undefined, { baseUrl: `${await refusingUrl()}/v1` })
    const response = await stage.ask({ stream })
    expect(response.status).toBe(502)
    expect(((await response.json()) as Failure).error.type).toBe('upstream_error')
    await expectQuietEnd(stage, /refused|connect/i)
  })
})

describe('errors of the provider in unusual clothes', () => {
  test('a status with HTML: the status, the page under error.provider', async () => {
    await using stage = await scene(errorReply(503, '<html><body><h1>503 Service Unavailable</h1></body></html>'))
    const response = await stage.ask()
    expect(response.status).toBe(503)
    const { error } = (await response.json()) as Failure
    expect(error.message).toBeTruthy()
    expect(error.message).not.toContain('<html>')
    expect(error.provider).toMatchObject({ status: 503 })
    expect(String(error.provider?.body)).toContain('<h1>503 Service Unavailable</h1>')
    await expectQuietEnd(stage, /./)
  })

  test('a huge error body is cut to 8 kB', async () => {
    await using stage = await scene(errorReply(500, 'x'.repeat(5_000_000)))
    const response = await stage.ask()
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(text.length).toBeLessThan(20_000)
  })

  test('an error body that stalls: its status all the same', async () => {
    await using stage = await scene({ status: 401, headers: { 'content-length': '5000' }, body: '{"error":', end: 'stall' })
    const response = await stage.ask()
    expect(response.status).toBe(401)
    await response.text()
    await expectQuietEnd(stage, /./)
  })

  test.each([false, true])('200 with an error body is no success (stream: %p)', async (stream) => {
    await using stage = await scene({ body: JSON.stringify({ error: { message: 'Out of tokens', type: 'quota', code: 'q' } }) })
    const response = await stage.ask({ stream })
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(((await response.json()) as Failure).error.message).toContain('Out of tokens')
    await expectQuietEnd(stage, /Out of tokens/)
  })

  test.each([false, true])('[ERR-6] the key it echoes is masked (stream: %p)', async (stream) => {
    await using stage = await scene(errorReply(401, { error: { message: `Incorrect API key provided: ${key}.`, type: 'auth', code: key } }))
    const response = await stage.ask({ stream })
    expect(response.status).toBe(401)
    const text = await response.text()
    expect(text).toContain('Incorrect API key provided')
    expect(text).not.toContain(key)
    await expectQuietEnd(stage, /./)
  })

  test('its login challenge and cookies stay behind', async () => {
    await using stage = await scene(errorReply(401, undefined, { 'www-authenticate': 'Bearer realm="theirs"', 'set-cookie': 'a=b' }))
    const response = await stage.ask()
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(response.headers.get('set-cookie')).toBeNull()
  })
})

describe('streams that break off', () => {
  const opening = [chatChunk({ role: 'assistant', content: '' }), chatChunk({ content: 'Once' })]
  /** `arrived`: until the caller has read what came. A connection's end may overtake, in the client, what was sent before it. */
  const broken: readonly [string, (arrived: Pause) => Script][] = [
    ['cut without the end of the message', (arrived) => ({ body: [...opening, arrived], end: 'cut' })],
    ['reset', (arrived) => ({ body: [...opening, arrived], end: 'reset' })],
    ['ended without [DONE]', () => ({ body: opening })],
    ['ended after a finish reason without [DONE]', () => ({ body: [...opening, chatChunk({}, 'stop')] })],
    ['silent in the middle', () => ({ body: [...opening, stall] })],
    ['cut within a frame', (arrived) => ({ body: [...opening, arrived, 'data: {"id":"x","cho'], end: 'cut' })],
    ['ended within a frame', () => ({ body: [...opening, 'data: {"id":"x","cho'] })],
    ['a frame that is no JSON', () => ({ body: [...opening, 'data: {"id": nonsense}\n\n', done] })],
  ]

  test.each(broken)('[STR-2] %s: what came, then an error event, no [DONE]', async (_, script) => {
    const arrived = Promise.withResolvers<void>()
    await using stage = await scene(script({ until: arrived.promise }), { timeout: { first_byte: 10, idle: 0.3 } })
    const response = await stage.ask({ stream: true })
    expect(response.status).toBe(200)
    let text = ''
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece
      if (text.includes('Once')) arrived.resolve()
    }
    const all = events(text)
    expect(all).not.toContain('[DONE]')
    expect((JSON.parse(all[1] ?? '{}') as { choices: [{ delta: { content: string } }] }).choices[0].delta.content).toBe('Once')
    expect((JSON.parse(all.at(-1) ?? '{}') as Failure).error.type).toBe('upstream_error')
    expect(all.filter((data) => data.includes('"error"'))).toHaveLength(1)
    await expectQuietEnd(stage, /./)
  })

  test('silent before the first frame: an error event', async () => {
    await using stage = await scene({ body: [stall] })
    const response = await stage.ask({ stream: true })
    const all = events(await response.text())
    expect(all).toHaveLength(1)
    expect((JSON.parse(all[0] ?? '{}') as Failure).error.type).toBe('upstream_error')
    await expectQuietEnd(stage, /./)
  })

  test('[STR-8] an error inside: one error event with its message, then the end', async () => {
    const inside = frame({ error: { message: 'The engine overheated', type: 'server_error', code: 'hot' } })
    await using stage = await scene({ body: [...opening, inside, chatChunk({ content: ' more' }), done] })
    const response = await stage.ask({ stream: true })
    const all = events(await response.text())
    expect(JSON.parse(all.at(-1) ?? '{}')).toMatchObject({ error: { message: 'The engine overheated' } })
    expect(all).toHaveLength(3)
    await expectQuietEnd(stage, /overheated/)
  })

  test('an error inside that echoes the key', async () => {
    await using stage = await scene({ body: [...opening, frame({ error: { message: `Bad key ${key}`, code: 401 } })] })
    const text = await (await stage.ask({ stream: true })).text()
    expect(text).toContain('Bad key')
    expect(text).not.toContain(key)
    await expectQuietEnd(stage, /./)
  })
})

describe('streams of unusual cut', () => {
  const words = ['Grüße', ' 🐎', ' 世界', '\n"quoted"\\', '.']
  const whole = chatFrames(words).join('')

  async function expectWhole(script: Script): Promise<void> {
    await using stage = await scene(script)
    const text = await (await stage.ask({ stream: true })).text()
    expect(contentOf(text)).toBe(words.join(''))
    expect(events(text).at(-1)).toBe('[DONE]')
    await expectQuietEnd(stage)
  }

  test('all in one write', () => expectWhole({ body: [whole] }))
  test('[STR-6] CRLF line ends', () => expectWhole({ body: [whole.replaceAll('\n', '\r\n')] }))
  test('CR line ends', () => expectWhole({ body: [whole.replaceAll('\n', '\r')] }))
  test('comments, event names and ids between', () =>
    expectWhole({ body: [`: hello\n\nevent: message\nid: 1\nretry: 3\n${whole.replace(/\n\n/, '\n\n: ping\n\n')}`] }))
  test('no space after the colon', () => expectWhole({ body: [whole.replaceAll('data: ', 'data:')] }))
  test('[STR-6] a byte at a time', () =>
    expectWhole({ body: splitAt(whole, ...Array.from({ length: Buffer.byteLength(whole) - 1 }, (_, at) => at + 1)) }))

  test('[STR-6] split once, at every byte of the first frames', async () => {
    const bytes = Buffer.byteLength(chatFrames(words).slice(0, 3).join(''))
    await using stage = await scene(undefined)
    let at = 0
    stage.upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : { body: splitAt(whole, at) }))
    for (at = 1; at < bytes; at += 3) {
      const text = await (await stage.ask({ stream: true })).text()
      expect(contentOf(text)).toBe(words.join(''))
    }
  })

  test('[STR-6] a frame of 10 MB', async () => {
    const big = 'x'.repeat(10_000_000)
    await using stage = await scene({ body: [chatChunk({ content: big }), chatChunk({}, 'stop'), done] }, { timeout: 10 })
    const text = await (await stage.ask({ stream: true })).text()
    expect(contentOf(text)).toHaveLength(big.length)
    expect(events(text).at(-1)).toBe('[DONE]')
    await expectQuietEnd(stage)
  })

  test('[STR-5] usage is asked for, and withheld from a caller that did not ask', async () => {
    await using stage = await scene(chatStream())
    const silent = events(await (await stage.ask({ stream: true })).text())
    expect(stage.upstream.requests.at(-1)?.json).toMatchObject({ stream_options: { include_usage: true } })
    expect(silent.join('')).not.toContain('prompt_tokens')
    const asked = events(await (await stage.ask({ stream: true, stream_options: { include_usage: true } })).text())
    expect(asked.at(-2)).toContain('"prompt_tokens":9')
    expect(usageChunk).toContain('"prompt_tokens":9')
  })
})

describe('slow and leaving', () => {
  test('an upstream that reads slowly gets all of a large request', async () => {
    await using stage = await scene(chatReply(), { readPause: 1, timeout: 10 })
    const response = await stage.ask({ messages: [{ role: 'user', content: 'y'.repeat(2_000_000) }] })
    expect(response.status).toBe(200)
    expect(stage.upstream.requests.at(-1)?.bytes.length).toBeGreaterThan(2_000_000)
  })

  test.each([
    ['before the head', stallBeforeHead, false],
    ['before the head of a stream', stallBeforeHead, true],
    ['before the first frame', { body: [': hi\n\n', stall] }, true],
    ['in the middle of a stream', { body: [chatChunk({ content: 'a' }), stall] }, true],
  ] as const)('[STR-3] a caller that leaves %s: the upstream’s connection closes', async (_, script, stream) => {
    await using stage = await scene(script, { timeout: 30 })
    const leaving = new AbortController()
    const reading = stage
      .ask({ stream }, { signal: leaving.signal })
      .then((response) => response.text())
      .catch((error: Error) => error.name)
    const request = await firstPost(stage.upstream)
    leaving.abort()
    await request.finished
    expect(request.aborted).toBe(true)
    expect(await reading).toBe('AbortError')
    await expectQuietEnd(stage)
  })

  test('after a hundred failures no connection is open', async () => {
    await using stage = await scene(undefined)
    const scripts = [
      resetBeforeHead,
      closeBeforeHead,
      { body: ['data: {', stall] },
      { body: [chatChunk({ content: 'a' })], end: 'cut' } as const,
    ]
    let turn = 0
    stage.upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : scripts[turn++ % scripts.length]))
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const response = await stage.ask({ stream: true })
        await response.text()
      }),
    )
    await stage.upstream.quiet()
    expect(stage.server.app.running).toBe(0)
    // What is kept for the next request is idle: the listing's own connection at most. The others have been told to close.
    while (stage.upstream.open > 1) await new Promise((resolve) => setTimeout(resolve, 1))
  })
})

/** Listings come in between. */
async function firstPost(upstream: MockUpstream): Promise<MockRequest> {
  for (let count = 1; ; count += 1) {
    const request = await upstream.received(count)
    if (request.method === 'POST') return request
  }
}
