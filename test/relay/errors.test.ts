import { describe, expect, test } from 'bun:test'
import { closeBeforeHead, errorReply, jsonReply, resetBeforeHead, stall, stallBeforeHead, type Script } from '../../src/testing/index.ts'
import { upstreamRequests, key, chatBody, startRelay, type ProviderOptions } from './relay-server.ts'

const kinds = [
  ['chat', '/v1/chat/completions', chatBody],
  ['streamed chat', '/v1/chat/completions', { ...chatBody, stream: true }],
  ['completions', '/v1/completions', { model: 'up/m', prompt: 'a' }],
  ['streamed completions', '/v1/completions', { model: 'up/m', prompt: 'a', stream: true }],
  ['embeddings', '/v1/embeddings', { model: 'up/m', input: 'a' }],
] as const

interface ErrorBody {
  status: number
  headers: Headers
  text: string
  error: {
    message: string
    type: string
    code: string | null
    param: string | null
    provider?: { id: string; status: number; body: unknown }
  }
}

async function ask(script: Script, options: ProviderOptions = {}, body: object = chatBody): Promise<ErrorBody> {
  await using on = await startRelay([script], options)
  const response = await on.post('/v1/chat/completions', body)
  const text = await response.text()
  await on.upstream.quiet()
  return { status: response.status, headers: response.headers, text, error: (JSON.parse(text) as { error: ErrorBody['error'] }).error }
}

describe.each(kinds)('%s', (_, path, body) => {
  test.each([400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529])("the provider's own %i and its words", async (status) => {
    const said = { error: { message: 'No, and why', type: 'some_type', code: 'some_code', param: 'messages' } }
    await using on = await startRelay([errorReply(status, said, { 'retry-after': '7', 'www-authenticate': 'Bearer', 'set-cookie': 'a=b' })])
    const response = await on.post(path, body)
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual({ error: { ...said.error, provider: { id: 'up', status, body: said } } })
    expect(response.headers.get('x-corral-error-source')).toBe('provider')
    expect(response.headers.get('retry-after')).toBe('7')
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(upstreamRequests(on)).toHaveLength(1)
  })
})

describe('a body in the form of', () => {
  test.each([
    [
      'Google',
      400,
      [{ error: { code: 400, message: 'API key not valid', status: 'INVALID_ARGUMENT' } }],
      { message: 'API key not valid', code: 'INVALID_ARGUMENT' },
    ],
    [
      'Anthropic',
      529,
      { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      { message: 'Overloaded', type: 'overloaded_error' },
    ],
    ['FastAPI', 403, { detail: 'Not allowed' }, { message: 'Not allowed', type: 'permission_error' }],
    [
      'FastAPI’s validation',
      422,
      { detail: [{ loc: ['body', 'messages', 0, 'role'], msg: 'bad role', type: 'x' }] },
      { message: 'messages.0.role: bad role', param: 'messages.0.role' },
    ],
    ['a text in `error`', 401, { error: 'Unauthorized' }, { message: 'Unauthorized', type: 'authentication_error' }],
    ['a title in `error`', 401, { status: 401, error: 'Unauthorized', message: 'The key has expired' }, { message: 'The key has expired' }],
    [
      'Mistral',
      422,
      { object: 'error', message: 'Bad input', type: 'invalid_request', code: 3000 },
      { message: 'Bad input', type: 'invalid_request', code: '3000' },
    ],
    [
      'watsonx',
      404,
      { errors: [{ code: 'model_not_supported', message: 'Unknown model' }], status_code: 404 },
      { message: 'Unknown model', code: 'model_not_supported' },
    ],
    ['Databricks', 403, { error_code: 'PERMISSION_DENIED', message: 'No' }, { message: 'No', code: 'PERMISSION_DENIED' }],
    [
      'RFC 9457',
      401,
      { type: 'about:blank', title: 'Unauthorized', status: 401, detail: 'Wrong key' },
      { message: 'Wrong key', type: 'authentication_error' },
    ],
    ['AWS', 403, { Message: 'Signature wrong' }, { message: 'Signature wrong' }],
  ])('%s', async (_, status, body, expected) => {
    const errorBody = await ask(errorReply(status, body))
    expect(errorBody.status).toBe(status)
    expect(errorBody.error).toMatchObject({ ...expected, provider: { id: 'up', status, body } })
  })

  test.each([
    [
      'HTML',
      '<!DOCTYPE html><html><head><title>503  Service\nUnavailable</title></head></html>',
      "Provider 'up' returned an HTML page: 503 Service Unavailable.",
    ],
    ['HTML without a title', '<html><body>oops</body></html>', "Provider 'up' returned an HTML page."],
    ['plain text', ' upstream connect error\n', 'upstream connect error'],
    ['nothing', '', "Provider 'up' returned status 503 without a message."],
    ['a bare number', '12', "Provider 'up' returned status 503 without a message."],
    ['an empty object', '{}', "Provider 'up' returned status 503 without a message."],
  ])('%s', async (_, body, message) => {
    const { status, error } = await ask({ status: 503, body, headers: { 'content-type': 'text/plain' } })
    expect(status).toBe(503)
    expect(error).toMatchObject({ message, type: 'service_unavailable_error', provider: { id: 'up', status: 503 } })
  })
})

describe('what is too much', () => {
  test('a long body is cut to 8 kB and a long message to 4', async () => {
    const { error } = await ask(errorReply(500, { error: { message: 'é'.repeat(20_000) } }))
    expect(Buffer.byteLength(error.provider?.body as string)).toBeLessThanOrEqual(8192)
    expect(error.message.length).toBeLessThanOrEqual(4097)
  })

  test.each([
    ['endless', { status: 500, body: [...Array<string>(40).fill('x'.repeat(4096)), stall] }],
    ['cut', { status: 500, body: ['{"error":'], end: 'reset' }],
  ] as const)('a body that is %s leaves the status as it is, and no connection open', async (_, script) => {
    await using on = await startRelay([script])
    expect((await on.post('/v1/chat/completions', chatBody)).status).toBe(500)
    await on.upstream.quiet()
  })
})

describe('redirects and other odd statuses are 502', () => {
  test.each([301, 302, 307, 308])('%i', async (status) => {
    const errorBody = await ask({ status, headers: { location: 'http://inside.example/secret' }, body: '' })
    expect(errorBody.status).toBe(502)
    expect(errorBody.error).toMatchObject({ type: 'upstream_error', provider: { status } })
    expect(errorBody.text).not.toContain('inside.example')
  })

  test('204', async () => {
    expect((await ask({ raw: 'HTTP/1.1 204 No Content\r\n\r\n' })).status).toBe(502)
  })
})

describe('waiting', () => {
  const inTwoMinutes = new Date(Date.now() + 120_000).toUTCString()
  const inTenSeconds = new Date(Date.now() + 10_000).toUTCString()
  test.each([
    ['5', '5', null],
    ['60', '60', null],
    ['61', '61', 'false'],
    [inTwoMinutes, inTwoMinutes, 'false'],
    [inTenSeconds, inTenSeconds, null],
    ['soon', null, null],
    ['-1', null, null],
  ])('Retry-After: %s', async (given, errorBody, shouldRetry) => {
    const { headers } = await ask(errorReply(429, undefined, { 'retry-after': given, 'x-ratelimit-remaining-tokens': '0' }))
    expect(headers.get('retry-after')).toBe(errorBody)
    expect(headers.get('x-should-retry')).toBe(shouldRetry)
    expect(headers.get('x-ratelimit-remaining-tokens')).toBe('0')
  })
})

describe('[SEC-5] the key that was sent', () => {
  const odd = String.raw`k/y"with\odd<chars>&more`
  const echo: [string, (secret: string) => Script][] = [
    ['as it is', (secret) => errorReply(401, `Wrong key: ${secret}`)],
    [
      'in JSON',
      (secret) =>
        errorReply(401, { error: { message: `Wrong key: ${secret}`, code: secret, type: `bad ${secret}`, [secret]: [{ deep: secret }] } }),
    ],
    [
      'in JSON with every character escaped',
      (secret) =>
        errorReply(
          401,
          `{"error":{"message":"Wrong key: ${secret
            .split('')
            .map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
            .join('')}"}}`,
        ),
    ],
    ['in JSON in JSON', (secret) => errorReply(401, { error: { message: JSON.stringify({ sent: secret }) } })],
    ['in a URL', (secret) => errorReply(401, `see /help?key=${encodeURIComponent(secret)}`)],
    ['in base64', (secret) => errorReply(401, `see ${Buffer.from(secret).toString('base64')}`)],
    ['in a frame', (secret) => ({ body: [`data: ${JSON.stringify({ error: { message: `Wrong key: ${secret}` } })}\n\n`] })],
  ]
  test.each(echo.flatMap(([how, script]) => [key, odd].map((secret) => [how, secret, script(secret)] as const)))(
    'is masked when the provider echoes it %s (%s)',
    async (_, secret, script) => {
      await using on = await startRelay([script], { key: secret })
      const text = await (await on.post('/v1/chat/completions', { ...chatBody, stream: true })).text()
      const everything = text + JSON.stringify(on.lines)
      const traces = [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64').slice(0, -3),
      ]
      for (const trace of traces) expect(everything).not.toContain(trace)
      expect(text).toContain('***')
    },
  )
})

describe('[SEC-5] headers of an error', () => {
  test('pass by known names alone, in the form they have', async () => {
    const good = {
      'retry-after': '7',
      'retry-after-ms': '6500',
      'x-should-retry': 'true',
      'x-ratelimit-limit': '100',
      'x-ratelimit-reset': 'Wed, 21 Oct 2026 07:28:00 GMT',
      'x-ratelimit-reset-requests': '6m0s',
      'x-ratelimit-limit-tokens-per-minute': '60000',
      'x-ratelimit-remaining-tokens': '0.5',
      'x-ratelimit-reset-tokens': '2026-10-21T07:28:00Z',
    }
    const bad = {
      'x-ratelimit-key': key,
      'x-ratelimit-limit-requests': key,
      'x-ratelimit-remaining-requests': `1 ${key}`,
      'x-ratelimit-user': 'me',
    }
    const { headers, text } = await ask(errorReply(429, undefined, { ...good, ...bad }))
    for (const [name, value] of Object.entries(good)) expect([name, headers.get(name)]).toEqual([name, value])
    for (const name of Object.keys(bad)) expect([name, headers.get(name)]).toEqual([name, null])
    expect(headers.get('x-corral-error-source')).toBe('provider')
    expect(text + JSON.stringify([...headers])).not.toContain(key)
  })

  test.each(['retry-after', 'retry-after-ms', 'x-should-retry'])('%s says nothing but what it is for', async (name) => {
    expect((await ask(errorReply(429, undefined, { [name]: key }))).headers.get(name)).toBeNull()
  })

  test('a key of digits is a key', async () => {
    const { headers } = await ask(errorReply(429, undefined, { 'x-ratelimit-limit': '1234567890', 'x-ratelimit-remaining': '5' }), {
      key: '1234567890',
    })
    expect([headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')]).toEqual([null, '5'])
  })

  test('a success passes none of the provider’s', async () => {
    await using on = await startRelay([jsonReply({ choices: [] }, 200, { 'x-ratelimit-remaining-tokens': '5', 'retry-after': '1' })])
    const { headers, status } = await on.post('/v1/chat/completions', chatBody)
    expect([status, headers.get('x-ratelimit-remaining-tokens'), headers.get('retry-after')]).toEqual([200, null, null])
  })
})

describe('no response', () => {
  test.each([
    ['reset', resetBeforeHead, 502, 'upstream_interrupted'],
    ['closed', closeBeforeHead, 502, 'upstream_interrupted'],
    ['not HTTP', { raw: 'SSH-2.0-OpenSSH_9.9\r\n\r\n' }, 502, 'upstream_invalid_response'],
    ['silence', stallBeforeHead, 504, 'upstream_timeout'],
    ['cut in the middle', { body: '{"choices":', headers: { 'content-length': '99' }, end: 'cut' }, 502, 'upstream_interrupted'],
    ['silent in the middle', { body: '{"choices":', headers: { 'content-length': '99' }, end: 'stall' }, 504, 'upstream_timeout'],
  ] as const)('%s', async (_, script, status, code) => {
    const errorBody = await ask(script, { network: { firstByteTimeout: 60, idleTimeout: 60 } })
    expect(errorBody.status).toBe(status)
    expect(errorBody.error).toMatchObject({ type: 'upstream_error', code })
    expect(errorBody.error.message).toContain("Provider 'up'")
    expect(errorBody.error.provider).toBeUndefined()
  })

  test('refused, with one line in the log and no URL for the caller', async () => {
    await using on = await startRelay([], { staticModels: [{ id: 'm', type: 'llm', metadata: {} }], parseModels: false })
    await on.upstream.refuse()
    const response = await on.post('/v1/chat/completions', chatBody)
    expect(response.status).toBe(502)
    const text = await response.text()
    expect(text).toContain("Provider 'up' could not be reached: the connection was refused.")
    expect(text).not.toContain(String(on.upstream.port))
    const lines = on.lines.filter(({ fields }) => fields['route'] === '/v1/chat/completions')
    expect(lines).toHaveLength(1)
    expect(JSON.stringify(lines[0])).toContain('refused')
  })
})

test('a response larger than the limit is a 502', async () => {
  await using on = await startRelay([{ headers: { 'content-length': String(65 * 1024 * 1024) }, body: '{', end: 'stall' }])
  const response = await on.post('/v1/chat/completions', chatBody)
  expect(response.status).toBe(502)
  expect(await response.json()).toMatchObject({ error: { code: 'upstream_response_too_large' } })
  await on.upstream.quiet()
})

test('listing reports the provider’s error with its status', async () => {
  await using on = await startRelay()
  on.upstream.respond(() => jsonReply({ error: { message: 'Invalid API Key', code: 'invalid_api_key' } }, 401))
  const response = await on.server.fetch('/v1/providers/up')
  expect(JSON.stringify(await response.json())).toContain('Invalid API Key')
})
