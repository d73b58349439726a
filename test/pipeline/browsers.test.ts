import { afterAll, beforeAll, expect, test } from 'bun:test'
import { loadConfig } from '../../src/config/load.ts'
import { chatReply, mockUpstream, testServer, upstreamProvider, type MockUpstream, type TestServer } from '../../src/testing/index.ts'
import { asking, known } from './stage.ts'

let upstream: MockUpstream
let server: TestServer
beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const { config } = await loadConfig({ source: 'providers: {}\nserver: { cors: true }\n', env: {} })
  server = await testServer(
    { ...config, providers: [upstreamProvider('mock', upstream.url)] },
    { authentication: known({ alice: { attributes: {} } }) },
  )
})
afterAll(async () => {
  for (const part of [server, upstream]) await part[Symbol.asyncDispose]()
})

const theirs = [
  'authorization',
  'content-type',
  'x-llamastack-provider-data',
  'x-ogx-provider-data',
  'x-corral-provider-data',
  'x-llamastack-client-version',
  'x-ogx-client-version',
  'x-api-key',
  'x-goog-api-key',
  'x-stainless-lang',
]

for (const origin of ['http://localhost:5173', 'https://localhost', 'http://127.0.0.1:3000', 'http://[::1]:8080']) {
  test(`[PIP-11] a page of ${origin} may send what clients send`, async () => {
    for (const header of theirs) {
      const preflight = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': header }
      const answer = await server.fetch('/v1/chat/completions', { method: 'OPTIONS', headers: preflight })
      expect([header, answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([header, 204, origin])
      expect(answer.headers.get('access-control-allow-headers')?.toLowerCase()).toContain(header)
    }
  })
  test(`[PIP-11] a page of ${origin} sends its key and reads the answer with what it has left`, async () => {
    const answer = await server.fetch(
      '/v1/chat/completions',
      asking('alice', {
        method: 'POST',
        headers: { origin, 'content-type': 'application/json', 'x-llamastack-provider-data': '{"mock_api_key":"its-own"}' },
        body: JSON.stringify({ model: 'mock/m', messages: [{ role: 'user', content: 'hi' }] }),
      }),
    )
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, origin])
    expect(upstream.requests.at(-1)?.headers).toMatchObject({ authorization: 'Bearer its-own' })
    const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase().split(', ') ?? []
    const limits = ['limit', 'remaining', 'reset'].flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`])
    for (const header of ['x-request-id', 'retry-after', 'www-authenticate', ...limits]) expect(exposed).toContain(header)
  })
}

test('[PIP-11] pages of other machines may not, whatever their name looks like', async () => {
  for (const origin of [
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://192.168.0.1',
    'http://evil.example',
    'null',
  ]) {
    const preflight = { origin, 'access-control-request-method': 'POST' }
    const answer = await server.fetch('/v1/chat/completions', { method: 'OPTIONS', headers: preflight })
    expect([origin, answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([origin, 403, null])
  }
})
