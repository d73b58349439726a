import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { BodyBudget } from '../../src/http/body-budget.ts'
import {
  chatReply,
  type MockUpstream,
  mockUpstream,
  modelsReply,
  stallBeforeHead,
  testConfig,
  type TestServer,
  testServer,
  upstreamProvider,
} from '../../src/testing/index.ts'

const headers = { 'content-type': 'application/json' }
const budget = 400_000

let upstream: MockUpstream
let server: TestServer
beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(({ path, json }) => {
    if (path.endsWith('/models')) return modelsReply(['m'])
    return json?.['stop'] === 'stall' ? stallBeforeHead : json?.['stop'] === 'fail' ? { status: 500, body: '{}' } : chatReply()
  })
  const providers = [upstreamProvider('up', upstream.url, { key: 'sk-operator' })]
  server = await testServer(testConfig({ providers, server: { maxJsonMembers: 1000, maxBufferedBodyBytes: budget } }))
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

interface Refusal {
  readonly error: { readonly code: string; readonly param: string | null; readonly message: string }
}

async function post(body: RequestInit['body'], over: RequestInit = {}): Promise<{ status: number; code?: string; param?: string | null }> {
  const response = await server.fetch('/v1/chat/completions', { method: 'POST', headers, body, ...over })
  if (response.ok) return { status: response.status, ...(await response.text().then(() => ({}))) }
  const { error } = (await response.json()) as Refusal
  return { status: response.status, code: error.code, param: error.param }
}

const chat = (more: object = {}) => JSON.stringify({ model: 'up/m', messages: [{ role: 'user', content: 'Hi' }], ...more })

const objectOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, at]))

const sized = (bytes: number, more: object = {}) => chat({ user: 'x'.repeat(bytes - chat({ user: '', ...more }).length), ...more })
const refused = { status: 503, code: 'too_many_request_bytes', param: null }
const over = async () => {
  while (server.app.activeRequests > 0) await new Promise((resolve) => setTimeout(resolve, 2))
}
const chunked = (text: string) =>
  new ReadableStream({
    async start(controller) {
      for (let at = 0; at < text.length; at += 50_000) controller.enqueue(Buffer.from(text.slice(at, at + 50_000)))
      controller.close()
    },
  })

/** A request that is sent whole and to which the provider does not respond. */
async function waiting(bytes: number): Promise<AbortController> {
  const caller = new AbortController()
  const before = upstream.active
  server
    .fetch('/v1/chat/completions', { method: 'POST', headers, body: sized(bytes, { stop: 'stall' }), signal: caller.signal })
    .catch(() => undefined)
  while (upstream.active <= before) await new Promise((resolve) => setTimeout(resolve, 2))
  return caller
}

describe('object members in a body', () => {
  // Of `chat()` itself: model, messages, role, content, extra.
  const own = 5

  test.each([
    ['in one object', (count: number) => chat({ extra: objectOf(count) })],
    ['in many objects', (count: number) => chat({ extra: Array.from({ length: count }, () => ({ a: 1 })) })],
    ['nested', (count: number) => chat({ extra: { deep: { er: objectOf(count - 2) } } })],
    ['of one name', (count: number) => chat({ extra: 0 }).replace('"extra":0', `"extra":{${'"a":1,'.repeat(count - 1)}"a":1}`)],
    ['spaced', (count: number) => JSON.stringify(JSON.parse(chat({ extra: objectOf(count) })), null, 40)],
  ])('[BND-1] %s: as many as the limit are served, one more is 400', async (_, bodyOf) => {
    expect(await post(bodyOf(1000 - own))).toEqual({ status: 200 })
    expect(await post(bodyOf(1001 - own))).toEqual({ status: 400, code: 'too_many_members', param: null })
  })

  test('[BND-1] the limit is reported, and is looked for before anything is parsed', async () => {
    const response = await server.fetch('/v1/chat/completions', {
      method: 'POST',
      headers,
      body: `{"a":1,${'"b":{"c":2},'.repeat(501)}`,
    })
    expect(((await response.json()) as Refusal).error.message).toContain('1000 members (server.max_json_members)')
  })

  test('[BND-1] elements of arrays and colons in strings are not counted', async () => {
    expect(await post(chat({ extra: Array.from({ length: 20_000 }, (_, at) => at) }))).toEqual({ status: 200 })
    expect(await post(chat({ extra: ['"a":1,'.repeat(3000), '{"a":'.repeat(3000)] }))).toEqual({ status: 200 })
    const tokens = Array.from({ length: 20 }, () => Array.from({ length: 500 }, (_, at) => at))
    const response = await server.fetch('/v1/embeddings', {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: 'up/m', input: tokens }),
    })
    expect(upstream.requests.at(-1)?.json).toEqual({ model: 'm', input: tokens })
    await response.text()
  })
})

describe('fields that hold a few names', () => {
  const large = 'x'.repeat(66_000)
  test.each([
    ['metadata', chat({ metadata: { a: large } }), 'metadata'],
    [
      'metadata under many names',
      chat({ metadata: Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`k${at}`, large.slice(0, 80)])) }),
      'metadata',
    ],
    ['models', chat({ models: Array.from({ length: 10_000 }, (_, at) => `up/m${at}`) }), 'models'],
    ['an escaped name', chat({ metadata: { a: large } }).replace('"metadata"', '"m\\u0065tadata"'), 'metadata'],
    ['metadata in a body that is not valid JSON', chat({ metadata: { a: large } }).slice(0, -1), undefined],
  ])('[BND-2] %s beyond 64 kB', async (_, body, param) => {
    expect(await post(body)).toEqual(
      param === undefined ? { status: 400, code: 'invalid_json', param: null } : { status: 400, code: 'field_too_large', param },
    )
  })

  test('[BND-2] other fields may be larger, and these may be smaller', async () => {
    expect(await post(chat({ extra: large, metadata: { a: large.slice(0, 60_000) } }))).toEqual({ status: 200 })
    expect(await post(chat({ messages: [{ role: 'user', content: 'Hi', metadata: { a: large } }] }))).toEqual({ status: 200 })
  })
})

describe('bodies in flight', () => {
  test('[BND-3] more than the limit together are 503 with Retry-After until others end, aborted ones included', async () => {
    const callers = [await waiting(150_000), await waiting(150_000)]
    const response = await server.fetch('/v1/chat/completions', { method: 'POST', headers, body: sized(150_000) })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(((await response.json()) as Refusal).error.code).toBe('too_many_request_bytes')
    expect(await post(sized(50_000))).toEqual({ status: 200 })
    callers[0]?.abort()
    while (server.app.activeRequests > 1) await new Promise((resolve) => setTimeout(resolve, 2))
    expect(await post(sized(150_000))).toEqual({ status: 200 })
    callers[1]?.abort()
    await over()
    expect(await post(sized(budget))).toEqual({ status: 200 })
  })

  test('[BND-3] bytes are counted decompressed, and as they arrive where no length is announced', async () => {
    expect(await post(gzipSync(sized(budget)), { headers: { ...headers, 'content-encoding': 'gzip' } })).toEqual({ status: 200 })
    expect(await post(gzipSync(sized(budget + 1)), { headers: { ...headers, 'content-encoding': 'gzip' } })).toEqual(refused)
    expect(await post(chunked(sized(budget)))).toEqual({ status: 200 })
    expect(await post(chunked(sized(budget + 1)))).toEqual(refused)
    await over()
    expect(await post(sized(budget))).toEqual({ status: 200 })
  })

  test('[BND-3] the bytes of a request are released, however it ends', async () => {
    const json = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
    /** Announces a body, sends a part of it and closes the connection. */
    const cutOff = async (head: string) => {
      const socket = createConnection(Number(new URL(server.url).port), '127.0.0.1')
      socket.write(`${json}${head}\r\n\r\n5\r\n{"mod`)
      while (server.app.activeRequests === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      socket.destroy()
      await over()
    }
    const ends: (() => Promise<unknown>)[] = [
      () => post(sized(100_000)),
      () => post(sized(100_000, { stop: 'fail' })),
      () => post(sized(100_000, { model: 'nobody/m' })),
      () => post('x'.repeat(100_000)),
      () => post(sized(budget + 1)),
      () => post(gzipSync(sized(100_000)).subarray(0, -20), { headers: { ...headers, 'content-encoding': 'gzip' } }),
      async () => (await waiting(100_000)).abort(),
      () => cutOff('content-length: 100000'),
      () => cutOff('transfer-encoding: chunked'),
    ]
    for (const end of [...ends, ...ends]) await end()
    await over()
    // One byte that was not released would refuse this one.
    expect(await post(sized(budget))).toEqual({ status: 200 })
  })

  test('[BND-3] the budget holds what was taken and not released, and never more than its limit', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(60))), (steps) => {
        const bodies = new BodyBudget(100)
        const taken: number[] = []
        for (const [takes, bytes] of steps) {
          const held = taken.reduce((sum, one) => sum + one, 0)
          if (!takes) bodies.release(taken.pop() ?? 0)
          else if (held + bytes > 100) expect(() => bodies.reserve(bytes)).toThrow()
          else {
            bodies.reserve(bytes)
            taken.push(bytes)
          }
          expect(bodies.used).toBe(taken.reduce((sum, one) => sum + one, 0))
        }
      }),
    )
  })
})
