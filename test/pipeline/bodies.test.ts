import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createConnection } from 'node:net'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { chatReply, mockUpstream, upstreamProvider, type MockUpstream, type TestServer } from '../../src/testing/index.ts'
import { asking, known, outcome, serve } from './servers.ts'

let upstream: MockUpstream
let server: TestServer
beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const providers = [upstreamProvider('mock', upstream.url, { key: 'k' })]
  server = await serve({ providers, server: { maxBodyBytes: 100_000 } }, known({ alice: { attributes: {} } }))
})
afterAll(async () => {
  for (const part of [server, upstream]) await part[Symbol.asyncDispose]()
})

const text = JSON.stringify({ model: 'mock/m', messages: [{ role: 'user', content: 'hi' }] })
const post = (body: BodyInit, headers: Record<string, string>, token?: string) => {
  const init = { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }
  return server.fetch('/v1/chat/completions', token === undefined ? init : asking(token, init))
}

const packings = { gzip: gzipSync, 'x-gzip': gzipSync, deflate: deflateSync, zstd: zstdCompressSync } as const
describe('packed bodies', () => {
  for (const [encoding, pack] of Object.entries(packings)) {
    const packed = (content: string | Uint8Array) => new Uint8Array(pack(content))
    const send = (body: Uint8Array<ArrayBuffer>) => post(body, { 'content-encoding': encoding }, 'alice')

    test(`[PIP-12] ${encoding} is decompressed, in any case of its name`, async () => {
      expect((await send(packed(text))).status).toBe(200)
      expect(upstream.requests.at(-1)?.json).toMatchObject({ messages: [{ content: 'hi' }] })
      expect((await post(packed(text), { 'content-encoding': ` ${encoding.toUpperCase()} ` }, 'alice')).status).toBe(200)
    })
    test(`[PIP-12] ${encoding} that decompresses to more than the limit is 413, of any size`, async () => {
      expect(await outcome(await send(packed(`${text}${' '.repeat(100_000)}`)))).toBe('413 request_too_large')
      expect(await outcome(await send(packed(new Uint8Array(64_000_000))))).toBe('413 request_too_large')
    })
    test(`[PIP-12] ${encoding} that is damaged or cut off is 400`, async () => {
      const whole = packed(text)
      expect((await send(whole.slice(0, whole.length / 2))).status).toBe(400)
      expect((await send(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]))).status).toBe(400)
    })
  }
  test('[PIP-12] two packings, one upon the other, are 415', async () => {
    expect(await outcome(await post(text, { 'content-encoding': 'gzip, zstd' }, 'alice'))).toBe('415 unsupported_content_encoding')
  })
  test('a request without a body may say what it likes', async () => {
    expect((await server.fetch('/v1/models', asking('alice', { headers: { 'content-encoding': 'br' } }))).status).toBe(200)
  })
})

describe('what the headers say about a body is checked before authentication', () => {
  test('[PIP-1] an unknown packing: 415', async () => {
    expect(await outcome(await post(text, { 'content-encoding': 'br' }))).toBe('415 unsupported_content_encoding')
  })
  test('[PIP-1] a length above the limit: 413', async () => {
    expect(await outcome(await post('x'.repeat(100_001), {}))).toBe('413 request_too_large')
    expect(await outcome(await post('x'.repeat(100_000), {}))).toBe('401 authentication_error')
  })
})

test('[PIP-1] the body of a rejected caller is not awaited', async () => {
  const { hostname, port } = new URL(server.url)
  const socket = createConnection({ host: hostname, port: Number(port) })
  const head =
    'POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n{"model"'
  socket.write(head)
  const response = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
  socket.destroy()
  expect(response).toStartWith('HTTP/1.1 401')
})

test('a rejected caller, and one without a route that takes a body, cannot send without end', async () => {
  const { hostname, port } = new URL(server.url)
  for (const head of ['POST /v1/chat/completions', 'POST /nothing', 'GET /v1/health']) {
    const socket = createConnection({ host: hostname, port: Number(port) })
    socket.on('error', () => undefined)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.write(`${head} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`)
    const response = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
    const piece = Buffer.from(`2710\r\n${'x'.repeat(10_000)}\r\n`)
    const sending = setInterval(() => socket.write(piece), 1)
    expect((await response).toLowerCase()).toContain('connection: close')
    await closed
    clearInterval(sending)
  }
})

test('a connection whose body has been read is kept', async () => {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text))
      controller.close()
    },
  })
  const response = await post(body, {}, 'alice')
  expect([response.status, response.headers.get('connection')]).toEqual([200, null])
})
