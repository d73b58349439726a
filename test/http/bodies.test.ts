import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createConnection } from 'node:net'
import { zstdCompressSync } from 'node:zlib'
import {
  chatReply,
  mockUpstream,
  testConfig,
  testServer,
  upstreamProvider,
  type MockUpstream,
  type TestServer,
} from '../../src/testing/index.ts'

let upstream: MockUpstream
let server: TestServer

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  server = await testServer(testConfig({ providers: [upstreamProvider('mock', upstream.url, { key: 'k' })] }))
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const good = { model: 'mock/m', messages: [{ role: 'user', content: 'hi' }] }
const json = { 'content-type': 'application/json' }
const post = (body: BodyInit | null, headers: Record<string, string> = json, path = '/v1/chat/completions') =>
  server.fetch(path, { method: 'POST', body, headers })

interface Envelope {
  error: { message: string; type: string; code: string | null; param: string | null }
}

async function refused(response: Response) {
  const { error } = (await response.json()) as Envelope
  expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
  expect(response.headers.get('content-type')).toContain('application/json')
  return { status: response.status, ...error }
}

const bytes = (...values: number[]) => new Uint8Array(values)
const deep = (levels: number) => `{"model":"mock/m","messages":${'['.repeat(levels)}${']'.repeat(levels)}}`

/** Name, body → status, param, code. */
const bad: [string, BodyInit, number, string | null, string][] = [
  ['nothing', '', 400, null, 'empty_body'],
  ['not JSON', 'hello', 400, null, 'invalid_json'],
  ['JSON that is cut off', '{"model":"m","messages":[', 400, null, 'invalid_json'],
  ['JSON with something behind it', '{} {}', 400, null, 'invalid_json'],
  ['only a byte order mark', bytes(0xef, 0xbb, 0xbf), 400, null, 'empty_body'],
  ['invalid UTF-8', new Uint8Array([...new TextEncoder().encode('{"model":"'), 0xff, 0xc0, 0x22, 0x7d]), 400, null, 'invalid_utf8'],
  ['UTF-16', new Uint8Array(Buffer.from(JSON.stringify(good), 'utf16le')), 400, null, 'invalid_json'],
  ['a list', '[]', 400, null, 'invalid_type'],
  ['null', 'null', 400, null, 'invalid_type'],
  ['a string', '"hi"', 400, null, 'invalid_type'],
  ['10,000 levels', deep(10_000), 400, null, 'nesting_too_deep'],
  ['a million levels', deep(1_000_000), 400, null, 'nesting_too_deep'],
  ['levels that never close', '{"a":'.repeat(100_000), 400, null, 'nesting_too_deep'],
  ['no model', JSON.stringify({ ...good, model: undefined }), 400, 'model', 'missing_required_parameter'],
  ['an unknown model', JSON.stringify({ ...good, model: 'nobody/none' }), 404, 'model', 'model_not_found'],
  ['a role that is a number', JSON.stringify({ ...good, messages: [{ role: 1, content: 'hi' }] }), 400, 'messages[0].role', 'invalid_type'],
  ['empty messages', JSON.stringify({ ...good, messages: [] }), 400, 'messages', 'empty_array'],
  ['n: 0', JSON.stringify({ ...good, n: 0 }), 400, 'n', 'integer_below_min_value'],
  ['a wrong type', JSON.stringify({ ...good, messages: 'hi' }), 400, 'messages', 'invalid_type'],
  [
    'an infinite number',
    '{"model":"mock/m","messages":[{"role":"user","content":"x"}],"max_tokens":1e999}',
    400,
    'max_tokens',
    'invalid_type',
  ],
  ['__proto__ as a model', '{"__proto__":{"model":"mock/m"},"messages":[]}', 400, 'model', 'missing_required_parameter'],
]

test('errors name the bound and what it applies to, and non-finite numbers as such', async () => {
  const cases = [
    ['/v1/embeddings', '{"model":"","input":""}', 'model', 'string_below_min_length', 'a string with a length of at least 1'],
    ['/v1/completions', '{"model":"","prompt":""}', 'model', 'string_below_min_length', 'a string with a length of at least 1'],
    ['/v1/embeddings', '{"model":"mock/m","input":[]}', 'input', 'empty_array', 'an array of at least 1 item(s)'],
    ['/v1/completions', '{"model":"mock/m","prompt":"x","n":0}', 'n', 'integer_below_min_value', 'at least 1, but got 0'],
    ['/v1/completions', '{"model":"mock/m","prompt":"x","n":1e999}', 'n', 'invalid_type', 'a number, but got a non-finite number'],
  ] as const
  for (const [path, body, param, code, message] of cases) {
    expect(await refused(await post(body, json, path))).toMatchObject({
      status: 400,
      param,
      code,
      message: expect.stringContaining(message),
    })
  }
})

describe('[ERR-8] bad bodies', () => {
  for (const [name, body, status, param, code] of bad) {
    test(`${name}: ${status} ${code}`, async () => {
      expect(await refused(await post(body))).toMatchObject({ status, param, code })
    })
  }

  test('50 MB: 413, and the connection is closed', async () => {
    const response = await post(JSON.stringify({ ...good, padding: 'x'.repeat(50_000_000) }))
    expect(response.headers.get('connection')).toBe('close')
    expect(await refused(response)).toMatchObject({ status: 413, code: 'request_too_large' })
  })

  test('50 MB in chunks of unknown number: 413', async () => {
    const megabyte = new Uint8Array(1_000_000).fill(0x20)
    let left = 50
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => (left-- > 0 ? controller.enqueue(megabyte) : controller.close()),
    })
    expect(await refused(await post(body))).toMatchObject({ status: 413 })
  })

  test('a client that sends all of 50 MB before it reads sees the 413, no broken pipe', async () => {
    const { hostname, port } = new URL(server.url)
    const size = 50_000_000
    const socket = createConnection({ host: hostname, port: Number(port) })
    const sent = new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${size}\r\n\r\n`,
      )
      socket.write(Buffer.alloc(size, ' '), () => resolve())
    })
    await sent
    let response = ''
    for await (const chunk of socket) response += String(chunk)
    expect(response).toStartWith('HTTP/1.1 413')
  })
})

describe('media types and encodings', () => {
  const text = JSON.stringify(good)

  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'json',
  ]) {
    test(`${type}: 415`, async () => {
      const response = await post(text, { 'content-type': type })
      expect(response.headers.get('accept')).toBe('application/json')
      expect(await refused(response)).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    })
  }

  for (const type of ['application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"', 'application/vnd.api+json', 'text/json']) {
    test(`${type}: taken`, async () => {
      expect((await post(text, { 'content-type': type })).status).toBe(200)
    })
  }

  test('JSON without a content type is taken', async () => {
    const response = await post(new TextEncoder().encode(text), {})
    expect(response.status).toBe(200)
  })

  test('a byte order mark is dropped, for us and for the provider', async () => {
    const response = await post(`\ufeff${text}`)
    expect(response.status).toBe(200)
    expect(upstream.requests.at(-1)?.text).toStartWith('{')
  })

  for (const encoding of ['gzip', 'deflate'] as const) {
    test(`${encoding} is unpacked`, async () => {
      const packed = await new Response(new Response(text).body?.pipeThrough(new CompressionStream(encoding))).bytes()
      expect((await post(packed, { ...json, 'content-encoding': encoding })).status).toBe(200)
    })
  }

  test('a small body that unpacks to 50 MB: 413', async () => {
    const blanks = new Response(new Uint8Array(50_000_000).fill(0x20))
    const packed = await new Response(blanks.body?.pipeThrough(new CompressionStream('gzip'))).bytes()
    expect(await refused(await post(packed, { ...json, 'content-encoding': 'gzip' }))).toMatchObject({ status: 413 })
  })

  test('zstd is unpacked', async () => {
    expect((await post(zstdCompressSync(text), { ...json, 'content-encoding': 'zstd' })).status).toBe(200)
  })

  test('what is not packed as it says: 400', async () => {
    expect(await refused(await post(text, { ...json, 'content-encoding': 'gzip' }))).toMatchObject({ status: 400 })
  })

  test('an unknown packing: 415', async () => {
    const response = await post(text, { ...json, 'content-encoding': 'snappy' })
    expect(response.headers.get('accept-encoding')).toBe('gzip, deflate, zstd')
    expect(await refused(response)).toMatchObject({ status: 415, code: 'unsupported_content_encoding' })
  })
})
