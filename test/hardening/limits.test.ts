import { connect } from 'node:net'
import { describe, expect, test } from 'bun:test'
import { chatFrames, recordedLog, stall, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'
import { dataOf, chatBody, startRelay, type RelayServer } from '../relay/relay-server.ts'

const path = '/v1/chat/completions'
const streaming = { ...chatBody, stream: true }

/** Sends bytes on a new connection, which the server has to close; resolves with everything that it sent. */
async function raw(to: TestServer, request: string): Promise<string> {
  const socket = connect(Number(new URL(to.url).port), '127.0.0.1')
  // A server that refuses early resets what is still being sent.
  socket.on('error', () => undefined)
  socket.write(request)
  const pieces: string[] = []
  socket.on('data', (piece) => pieces.push(String(piece)))
  await new Promise((resolve) => socket.once('close', resolve))
  return pieces.join('')
}

const head = (headers: string) => `GET /v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${headers}\r\n\r\n`
const many = (count: number) => Array.from({ length: count }, (_, at) => `x-${at}: a`).join('\r\n')

const heads = [
  ['a header of 16 kB', head(`x-a: ${'a'.repeat(15_000)}`), 200],
  ['a header of 1 MB', head(`x-a: ${'a'.repeat(1_000_000)}`), 431],
  ['150 headers', head(many(150)), 200],
  ['1,000 headers', head(many(1000)), 431],
  ['a path of 1 MB', `GET /${'a'.repeat(1_000_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 431],
  ['two lengths', 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef', 400],
  [
    'a length and chunks',
    'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n',
    400,
  ],
  ['an unknown transfer encoding', 'POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n', 400],
  ['a folded header', head('x-a: a\r\n b'), 400],
  ['a space before the colon', 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length : 5\r\n\r\nabcde', 400],
  ['a NUL', head('x-a: a\0b'), 400],
  ['no HTTP', 'GARBAGE\r\n\r\n', 400],
] as const

describe('the head of a request', () => {
  test.each(heads)('[HRD-1] %s', async (_, request, status) => {
    await using server = await testServer(testConfig())
    const response = await raw(server, request)
    expect(response).toStartWith(`HTTP/1.1 ${status} `)
    expect(response.split('HTTP/1.1 ')).toHaveLength(2)
  })
})

const ended = async (on: RelayServer, response: Response): Promise<void> => {
  const text = await response.text()
  const last = JSON.parse(dataOf(text).at(-1) ?? '{}') as { error?: { code: string; message: string } }
  expect(last.error).toMatchObject({
    code: 'stream_too_long',
    message: 'The stream exceeded the maximum duration of 0.1 s.',
  })
  expect(text).not.toContain('[DONE]')
  const request = await on.upstream.received(2)
  await request.finished
  expect(request.aborted).toBe(true)
  while (on.server.app.activeRequests > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  expect(on.lines.find(({ fields }) => fields['route'] === path)?.fields).toMatchObject({
    status: 200,
    error_type: 'service_unavailable_error',
  })
}

describe('a stream that goes on too long', () => {
  test('[HRD-3] ends with an error event, and the upstream with it', async () => {
    await using on = await startRelay([{ body: [chatFrames()[0]!, stall] }], {}, { maxStreamSeconds: 0.1 })
    await ended(on, await on.post(path, streaming))
  })

  test('[HRD-3] also where frames keep coming', async () => {
    const frames = Array.from({ length: 2000 }, () => [chatFrames()[1]!, { wait: 5 }]).flat()
    await using on = await startRelay([{ body: frames }], {}, { maxStreamSeconds: 0.1 })
    await ended(on, await on.post(path, streaming))
  })

  test('[HRD-3] also where the head never arrives', async () => {
    await using on = await startRelay([{ body: [stall], before: { wait: 400 } }], {}, { maxStreamSeconds: 0.1, streamHeadTimeout: 0.01 })
    await ended(on, await on.post(path, streaming))
  })

  test('[HRD-3] also where the caller does not read', async () => {
    const big = chatFrames()[1]!.replace(/"content":"[^"]*"/, `"content":"${'x'.repeat(100_000)}"`)
    await using on = await startRelay([{ body: [...Array<string>(400).fill(big), stall] }], {}, { maxStreamSeconds: 0.2 })
    const response = await on.post(path, streaming)
    const request = await on.upstream.received(2)
    await request.finished
    expect(request.aborted).toBe(true)
    await response.body?.cancel()
  })

  test('one that ends in time is left alone, and a limit of 0 is none', async () => {
    for (const maxStreamSeconds of [0, 5]) {
      await using on = await startRelay([{ body: chatFrames().flatMap((frame) => [frame, { wait: 30 }]) }], {}, { maxStreamSeconds })
      expect(dataOf(await (await on.post(path, streaming)).text()).at(-1)).toBe('[DONE]')
    }
  })
})

describe('too many requests at once', () => {
  test('[HRD-4] are rejected with 503 until others are complete; health checks are served', async () => {
    await using on = await startRelay([{ body: [chatFrames()[0]!, stall] }, { body: chatFrames() }], {}, { maxRunningRequests: 1 })
    const caller = new AbortController()
    const first = await on.post(path, streaming, { signal: caller.signal })
    const refused = await on.post(path, streaming)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(((await refused.json()) as { error: object }).error).toMatchObject({
      type: 'service_unavailable_error',
      code: 'too_many_running_requests',
    })
    expect((await fetch(`${on.server.url}/v1/health`)).status).toBe(200)
    expect((await fetch(`${on.server.url}/readyz`)).status).toBe(200)
    expect((await fetch(`${on.server.url}/no/such/path`)).status).toBe(503)
    caller.abort()
    await first.text().catch(() => undefined)
    while (on.server.app.activeRequests > 0) await new Promise((resolve) => setTimeout(resolve, 2))
    expect((await on.post(path, streaming)).status).toBe(200)
  })

  test('[HRD-4] a flood leaves nothing behind', async () => {
    const log = recordedLog()
    await using server = await testServer(testConfig({ server: { maxRunningRequests: 5 } }), { log })
    const responses = await Promise.all(Array.from({ length: 200 }, () => fetch(`${server.url}/v1/models`)))
    for (const response of responses) {
      expect([200, 503]).toContain(response.status)
      await response.arrayBuffer()
    }
    while (server.app.activeRequests > 0) await new Promise((resolve) => setTimeout(resolve, 2))
    expect((await fetch(`${server.url}/v1/models`)).status).toBe(200)
  })
})
