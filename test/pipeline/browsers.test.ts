import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { chatReply, mockUpstream, testServer, upstreamProvider, type MockUpstream, type TestServer } from '../../src/testing/index.ts'
import { asking, known } from './servers.ts'

let home: string
let upstream: MockUpstream
let server: TestServer
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-browsers-'))
  upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const { config } = await loadConfig({ source: 'providers: {}\nserver: { cors: true }\n', env: { CORRAL_HOME: home }, home })
  server = await testServer(
    { ...config, providers: [upstreamProvider('mock', upstream.url)] },
    { authentication: known({ alice: { attributes: {} } }) },
  )
})
afterAll(async () => {
  for (const part of [server, upstream]) await part[Symbol.asyncDispose]()
  await rm(home, { recursive: true, force: true })
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
      const response = await server.fetch('/v1/chat/completions', { method: 'OPTIONS', headers: preflight })
      expect([header, response.status, response.headers.get('access-control-allow-origin')]).toEqual([header, 204, origin])
      expect(response.headers.get('access-control-allow-headers')?.toLowerCase()).toContain(header)
    }
  })
  test(`[PIP-11] a page of ${origin} sends its key and reads the response with the remaining limits`, async () => {
    const response = await server.fetch(
      '/v1/chat/completions',
      asking('alice', {
        method: 'POST',
        headers: { origin, 'content-type': 'application/json', 'x-llamastack-provider-data': '{"mock_api_key":"its-own"}' },
        body: JSON.stringify({ model: 'mock/m', messages: [{ role: 'user', content: 'hi' }] }),
      }),
    )
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([200, origin])
    expect(upstream.requests.at(-1)?.headers).toMatchObject({ authorization: 'Bearer its-own' })
    const exposed = response.headers.get('access-control-expose-headers')?.toLowerCase().split(', ') ?? []
    const limits = ['limit', 'remaining', 'reset'].flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`])
    for (const header of ['x-request-id', 'retry-after', 'www-authenticate', ...limits]) expect(exposed).toContain(header)
  })
}

/** What scripts may read unasked (Fetch standard: CORS-safelisted response headers), and what is for browsers themselves. */
const forBrowsers =
  /^(?:cache-control|content-(?:language|length|type)|expires|last-modified|pragma|date|vary|access-control-.*|x-content-type-options)$/

const page = 'http://localhost:5173'

test('[PIP-11] a page can read every header of ours, whatever the status', async () => {
  const chat = (model: string) => ({
    method: 'POST',
    headers: { origin: page, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  })
  const responses = [
    await server.fetch('/v1/chat/completions', asking('alice', chat('mock/m'))),
    await server.fetch('/v1/chat/completions', asking('alice', chat('nowhere/m'))),
    await server.fetch('/v1/chat/completions', chat('mock/m')),
    await server.fetch('/v1/openai/v1/models', asking('alice', { headers: { origin: page } })),
  ]
  expect(responses.map(({ status }) => status)).toEqual([200, 404, 401, 200])
  const read = new Set<string>()
  for (const { headers } of responses) {
    const exposed = headers.get('access-control-expose-headers')?.toLowerCase().split(', ') ?? []
    for (const name of headers.keys()) {
      if (forBrowsers.test(name)) continue
      expect(exposed).toContain(name)
      read.add(name)
    }
  }
  for (const name of ['x-request-id', 'x-trace-id', 'www-authenticate', 'deprecation', 'link']) expect(read).toContain(name)
  // The list for those who configure their own says the same.
  const [, documented = ''] =
    /^`\[(x-request-id, [^\]]+)\]`/m.exec(await Bun.file(`${import.meta.dir}/../../docs/configuration.md`).text()) ?? []
  const exposed = responses[0]?.headers.get('access-control-expose-headers')?.toLowerCase().split(', ')
  expect(documented.split(', ').toSorted()).toEqual((exposed ?? []).toSorted())
})

test('[PIP-11] pages of other machines may not, with any similar name', async () => {
  for (const origin of [
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://192.168.0.1',
    'http://evil.example',
    'null',
  ]) {
    const preflight = { origin, 'access-control-request-method': 'POST' }
    const response = await server.fetch('/v1/chat/completions', { method: 'OPTIONS', headers: preflight })
    expect([origin, response.status, response.headers.get('access-control-allow-origin')]).toEqual([origin, 403, null])
  }
})
