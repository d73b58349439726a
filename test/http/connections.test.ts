import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { recordedLog, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'

const log = recordedLog()
let server: TestServer
beforeAll(async () => {
  server = await testServer(testConfig({}), { log })
})
afterAll(() => server[Symbol.asyncDispose]())

const postHead = (length: number | string) =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${typeof length === 'number' ? `content-length: ${length}` : length}\r\n\r\n`

/** Sends bytes on a new connection, which the server has to close; resolves with everything that it sent. */
async function raw(to: TestServer, request: string, body?: Uint8Array): Promise<string> {
  const socket = connect(Number(new URL(to.url).port), '127.0.0.1')
  socket.write(request)
  if (body) socket.write(body)
  let response = ''
  for await (const data of socket) response += String(data)
  return response
}

describe('HTTP/1.0 without Host, as load balancers check health', () => {
  test('gets a response', async () => {
    for (const path of ['/readyz', '/v1/health', '/v1/models?x=http://y/z']) {
      expect([path, (await raw(server, `GET ${path} HTTP/1.0\r\n\r\n`)).split('\r\n')[0]]).toEqual([path, 'HTTP/1.1 200 OK'])
    }
    expect(await raw(server, 'HEAD /readyz HTTP/1.0\r\n\r\n')).toStartWith('HTTP/1.1 200')
  })

  test('an unknown path is named completely, in the response and in the log', async () => {
    expect(await raw(server, 'GET /no/where?key=secret HTTP/1.0\r\nx-request-id: old-1\r\n\r\n')).toContain(
      'Unknown endpoint: GET /no/where.',
    )
    expect(log.lines.find(({ fields }) => fields.request_id === 'old-1')?.fields).toMatchObject({ route: '/no/where', status: 404 })
  })

  test('HTTP/1.1 has to name the host', async () => {
    expect(await raw(server, 'GET /readyz HTTP/1.1\r\n\r\n')).toStartWith('HTTP/1.1 400')
    expect(await raw(server, 'GET /readyz HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n')).toStartWith('HTTP/1.1 400')
    expect(await raw(server, 'GET http://localhost/readyz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n')).toStartWith(
      'HTTP/1.1 403',
    )
  })
})

describe('bodies that stop coming', () => {
  let impatient: TestServer
  beforeAll(async () => {
    impatient = await testServer(testConfig({ server: { uploadIdleTimeout: 0.1 } }))
  })
  afterAll(() => impatient[Symbol.asyncDispose]())

  const begun = new TextEncoder().encode('{"mod')
  for (const [name, head, body] of [
    ['small', postHead(100), begun],
    ['large', postHead(10_000_000), begun],
    ['in chunks', `${postHead('transfer-encoding: chunked')}5\r\n`, begun],
    ['packed', postHead('content-length: 100\r\ncontent-encoding: gzip'), gzipSync('{"model":"m"}').subarray(0, 15)],
  ] as const) {
    test(`${name}: 408, and the connection is closed`, async () => {
      const response = await raw(impatient, head, body)
      expect(response).toStartWith('HTTP/1.1 408')
      expect(response.toLowerCase()).toContain('connection: close')
      expect(JSON.parse(response.slice(response.indexOf('\r\n\r\n')))).toMatchObject({
        error: { type: 'invalid_request_error', code: 'request_timeout' },
      })
      expect(impatient.app.activeRequests).toBe(0)
    })
  }

  test('one that comes slowly is waited for', async () => {
    await using patient = await testServer(testConfig({ server: { uploadIdleTimeout: 2 } }))
    const body = `{"padding":"${'x'.repeat(300_000)}"}`
    const socket = connect(Number(new URL(patient.url).port), '127.0.0.1')
    socket.write(postHead(body.length))
    const piece = Math.ceil(body.length / 8)
    for (let at = 0; at < body.length; at += piece) {
      socket.write(body.slice(at, at + piece))
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    const [response] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    expect(String(response)).toStartWith('HTTP/1.1 400')
    expect(String(response)).toContain('missing_required_parameter')
  })
})
