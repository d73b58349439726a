import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { CorsConfig } from '../../src/config/config.ts'
import {
  chatReply,
  mockUpstream,
  testConfig,
  testServer,
  upstreamProvider,
  type MockUpstream,
  type TestServer,
} from '../../src/testing/index.ts'

const policy: CorsConfig = {
  allowOrigins: ['https://app.example'],
  allowMethods: ['POST'],
  allowHeaders: ['*'],
  exposeHeaders: [],
  allowCredentials: false,
  maxAge: 600,
}

let upstream: MockUpstream
let server: TestServer
let withCors: TestServer

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const providers = [upstreamProvider('mock', upstream.url, { key: 'k' })]
  server = await testServer(testConfig({ providers }))
  withCors = await testServer(testConfig({ providers, server: { cors: policy } }))
})
afterAll(async () => {
  for (const part of [server, withCors, upstream]) await part[Symbol.asyncDispose]()
})

const body = new TextEncoder().encode(JSON.stringify({ model: 'mock/m', messages: [{ role: 'user', content: 'hi' }] }))
const json = { 'content-type': 'application/json' }

async function ask(at: TestServer, headers: Record<string, string>): Promise<number | string> {
  const before = upstream.requests.filter(({ path }) => path.endsWith('/chat/completions')).length
  const response = await at.fetch('/v1/chat/completions', { method: 'POST', headers, body })
  const after = upstream.requests.filter(({ path }) => path.endsWith('/chat/completions')).length
  const reply = (await response.json()) as { error?: { code: string } }
  // What is refused reaches no provider.
  expect(after - before).toBe(response.status === 200 ? 1 : 0)
  return reply.error?.code ?? response.status
}

describe('pages of other sites cannot use the operator’s keys', () => {
  test('bytes without a type, as `no-cors` sends them without a preflight', async () => {
    expect(await ask(server, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).toBe(
      'origin_not_allowed',
    )
    expect(await ask(server, { origin: 'https://evil.example' })).toBe('origin_not_allowed')
  })

  test('whatever the type says', async () => {
    for (const origin of ['https://evil.example', 'null', 'http://localhost:3000', `${server.url}.evil.example`, '', 'x']) {
      expect([origin, await ask(server, { ...json, origin })]).toEqual([origin, 'origin_not_allowed'])
    }
  })

  test('without an Origin, by what the browser says of the page', async () => {
    for (const site of ['cross-site', 'same-site', 'anything']) {
      expect([site, await ask(server, { ...json, 'sec-fetch-site': site })]).toEqual([site, 'origin_not_allowed'])
    }
  })

  test('another port of the same machine is another origin', async () => {
    const { port } = new URL(server.url)
    expect(await ask(server, { ...json, origin: `http://127.0.0.1:${Number(port) - 1}`, 'sec-fetch-site': 'same-site' })).toBe(
      'origin_not_allowed',
    )
  })

  test('every method that may change something', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const response = await server.fetch('/v1/models', { method, headers: { origin: 'https://evil.example' } })
      expect([method, response.status]).toEqual([method, 403])
    }
    for (const method of ['GET', 'HEAD']) {
      const response = await server.fetch('/v1/models', { method, headers: { origin: 'https://evil.example' } })
      expect([method, response.status, response.headers.get('access-control-allow-origin')]).toEqual([method, 200, null])
    }
  })
})

describe('who may call', () => {
  test('programs, with and without a type', async () => {
    expect(await ask(server, json)).toBe(200)
    expect(await ask(server, {})).toBe(200)
  })

  test('pages of the server itself', async () => {
    expect(await ask(server, { ...json, origin: server.url })).toBe(200)
    expect(await ask(server, { ...json, origin: server.url, 'sec-fetch-site': 'same-origin' })).toBe(200)
  })

  test('pages of the server itself behind a proxy that changes the Host', async () => {
    expect(await ask(server, { ...json, origin: 'https://corral.example', 'sec-fetch-site': 'same-origin' })).toBe(200)
  })

  test('pages of origins that CORS allows, and of no others', async () => {
    expect(await ask(withCors, { ...json, origin: 'https://app.example', 'sec-fetch-site': 'cross-site' })).toBe(200)
    expect(await ask(withCors, { ...json, origin: 'https://other.example', 'sec-fetch-site': 'cross-site' })).toBe('origin_not_allowed')
  })

  test('a page that may call says what it sends', async () => {
    expect(await ask(server, { origin: server.url })).toBe('unsupported_media_type')
    expect(await ask(server, { 'sec-fetch-site': 'same-origin' })).toBe('unsupported_media_type')
  })
})
