import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { recordedLog, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'

const log = recordedLog()
let server: TestServer
beforeAll(async () => {
  server = await testServer(testConfig({}), { log })
})
afterAll(() => server[Symbol.asyncDispose]())

/** Sends bytes on a connection of its own, which the server has to close; resolves with everything that it answered. */
async function raw(to: TestServer, request: string): Promise<string> {
  const socket = connect(Number(new URL(to.url).port), '127.0.0.1')
  socket.write(request)
  let answer = ''
  for await (const data of socket) answer += String(data)
  return answer
}

describe('HTTP/1.0 without Host, as load balancers check health', () => {
  test('is answered', async () => {
    for (const path of ['/readyz', '/v1/health', '/v1/models?x=http://y/z']) {
      expect([path, (await raw(server, `GET ${path} HTTP/1.0\r\n\r\n`)).split('\r\n')[0]]).toEqual([path, 'HTTP/1.1 200 OK'])
    }
    expect(await raw(server, 'HEAD /readyz HTTP/1.0\r\n\r\n')).toStartWith('HTTP/1.1 200')
  })

  test('an unknown path is named whole, in the answer and in the log', async () => {
    expect(await raw(server, 'GET /no/where?key=secret HTTP/1.0\r\nx-request-id: old-1\r\n\r\n')).toContain(
      'There is no GET /no/where here.',
    )
    expect(log.lines.find(({ fields }) => fields.request_id === 'old-1')?.fields).toMatchObject({ route: '/no/where', status: 404 })
  })

  test('HTTP/1.1 has to name the host', async () => {
    expect(await raw(server, 'GET /readyz HTTP/1.1\r\n\r\n')).toStartWith('HTTP/1.1 400')
    expect(await raw(server, 'GET /readyz HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n')).toStartWith('HTTP/1.1 403')
    expect(await raw(server, 'GET http://localhost/readyz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n')).toStartWith(
      'HTTP/1.1 403',
    )
  })
})
