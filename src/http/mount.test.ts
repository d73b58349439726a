import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import { ApiError } from '../errors.ts'
import { openai } from '../dialects/openai/dialect.ts'
import { toErrorResponse } from './error-response.ts'
import { createRouteFinder, mount } from './mount.ts'
import { pathsOf, routesFor } from './route.ts'

interface Deps {
  streams: { open: number }
}
const defineRoute = routesFor<Deps>()
const responses = { 200: { description: 'OK' } }
const common = { api: 'test', tag: 'Test', summary: 'For tests', responses: responses }
const idParams = z.object({ id: z.string() })

const routes = [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/things/{id+}',
    operationId: 'read',
    params: idParams,
    handle: ({ params }) => ({ read: params.id }),
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/v1/things/{id+}',
    operationId: 'remove',
    params: idParams,
    handle: ({ params }) => ({ removed: params.id }),
  }),
  defineRoute({ ...common, method: 'GET', path: '/v1/things/special', operationId: 'special', handle: () => ({ special: true }) }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/boxes/{id}',
    aliases: ['/older/v1/boxes/{id}'],
    operationId: 'box',
    params: idParams,
    handle: ({ params }) => ({ box: params.id }),
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/things',
    aliases: ['/older/things'],
    operationId: 'list',
    query: z.object({ limit: z.coerce.number().int().min(1).default(20), tags: z.array(z.string()).optional() }),
    handle: ({ query }) => query,
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/things',
    operationId: 'make',
    maxBodyBytes: 100,
    body: z.strictObject({ name: z.string() }),
    handle: ({ body, bytes }) => ({ ...body, size: bytes.length }),
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/stream',
    operationId: 'stream',
    handle(_input, { streams }) {
      streams.open++
      const body = new ReadableStream({ cancel: () => void streams.open-- })
      return new Response(body, { headers: { 'content-type': 'text/event-stream', 'x-kind': 'stream' } })
    },
  }),
]

function server() {
  const deps: Deps = { streams: { open: 0 } }
  const dispatch = mount(routes, deps)
  const record: { route?: string } = {}
  const fetch = async (method: string, path: string, body?: string) => {
    const request = new Request(`http://corral.test${path}`, { method, ...(body !== undefined && { body }) })
    try {
      return await dispatch(request, { requestId: 'r', signal: request.signal, providerData: {}, record })
    } catch (error) {
      if (error instanceof ApiError) return toErrorResponse(error, openai)
      throw error
    }
  }
  return {
    deps,
    record,
    fetch,
    json: async (method: string, path: string, body?: string) => (await fetch(method, path, body)).json() as Promise<unknown>,
  }
}

describe('paths', () => {
  const { fetch, json, record } = server()

  test('ids with slashes, encoded or not', async () => {
    expect(await json('GET', '/v1/things/groq/openai/gpt-oss-120b')).toEqual({ read: 'groq/openai/gpt-oss-120b' })
    expect(await json('GET', '/v1/things/groq%2Fllama%20%C3%A9?x=1')).toEqual({ read: 'groq/llama é' })
    expect(await json('GET', '/v1/boxes/a%2Fb')).toEqual({ box: 'a/b' })
  })

  test('[PRO-6] doubled slashes count as one in the route, not in an id at its end', async () => {
    for (const id of ['vllm//models/llama', 'hf://owner/model', '/models/llama'])
      for (const prefix of ['/v1/things/', '//v1/things/', '/v1///things/']) expect(await json('GET', prefix + id)).toEqual({ read: id })
    expect(await json('GET', '/v1//boxes//a')).toEqual({ box: 'a' })
    expect((await fetch('GET', '/v1/boxes/a/b')).status).toBe(404)
    expect(record.route).toBe('/v1/boxes/{id}')
  })

  test('a path that is not validly encoded is the caller’s mistake', async () => {
    const response = await fetch('GET', '/v1/boxes/%ZZ')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { param: 'id' } })
  })

  test('a literal path wins, in any order of the list', async () => {
    expect(await json('GET', '/v1/things/special')).toEqual({ special: true })
  })

  test('a slash at the end does not matter', async () => {
    expect(await json('GET', '/v1/things/')).toEqual({ limit: 20 })
    expect(await json('GET', '/v1/things//?limit=3')).toEqual({ limit: 3 })
  })

  test('a route is served on its aliases, which are deprecated', async () => {
    expect(await json('GET', '/older/things?limit=2')).toEqual({ limit: 2 })
    expect(await json('GET', '/older/v1/boxes/a')).toEqual({ box: 'a' })
    expect(pathsOf({ path: '/v1/a', equivalents: ['/v2/a'], aliases: ['/older/v1/a', '/b'] })).toEqual([
      { path: '/v1/a', deprecated: false },
      { path: '/v2/a', deprecated: false },
      { path: '/older/v1/a', deprecated: true },
      { path: '/b', deprecated: true },
    ])
  })

  test('the finder knows where the current path begins in an alias', () => {
    const find = createRouteFinder(routes)
    expect(find('GET', '/older/v1/boxes/a')).toMatchObject({ deprecated: true, successorStart: '/older'.length })
    for (const path of ['/older/things', '/v1/boxes/a']) expect(find('GET', path)?.successorStart).toBeUndefined()
  })

  test('[ERR-5] an unknown path: 404 in the envelope', async () => {
    for (const path of ['/', '/v1', '/v2/things', '/v1/thing', `/${'x'.repeat(5000)}`]) {
      const response = await fetch('GET', path)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ error: { type: 'not_found_error', code: 'unknown_url', param: null } })
    }
  })
})

describe('methods', () => {
  const { fetch, deps } = server()

  test('[ERR-5] a known path with another method: 405 with Allow', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/v1/things', 'GET, POST, HEAD, OPTIONS'],
      ['POST', '/v1/things/a/b', 'GET, DELETE, HEAD, OPTIONS'],
      ['POST', '/older/v1/boxes/a', 'GET, HEAD, OPTIONS'],
      ['PROPFIND', '/v1/things', 'GET, POST, HEAD, OPTIONS'],
    ] as const) {
      const response = await fetch(method, path)
      expect({ status: response.status, allow: response.headers.get('allow') }).toEqual({ status: 405, allow })
      expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', code: 'method_not_allowed' } })
    }
  })

  test('OPTIONS says what is allowed', async () => {
    const response = await fetch('OPTIONS', '/v1/things')
    expect(response.status).toBe(204)
    expect(response.headers.get('allow')).toBe('GET, POST, HEAD, OPTIONS')
    expect((await fetch('OPTIONS', '/nowhere')).status).toBe(404)
  })

  test('HEAD has the head of GET, its length, and no body', async () => {
    const get = await fetch('GET', '/v1/things/a')
    const head = await fetch('HEAD', '/v1/things/a')
    expect(head.status).toBe(200)
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'))
    expect(head.headers.get('content-length')).toBe(String((await get.arrayBuffer()).byteLength))
    expect(await head.text()).toBe('')
    expect((await fetch('HEAD', '/nowhere')).status).toBe(404)
  })

  test('HEAD leaves no stream running', async () => {
    const head = await fetch('HEAD', '/v1/stream')
    expect(head.headers.get('x-kind')).toBe('stream')
    expect(head.headers.has('content-length')).toBe(false)
    expect(deps.streams.open).toBe(0)
  })
})

describe('queries and bodies', () => {
  const { fetch, json } = server()

  test('[ERR-4] a query is held to its schema', async () => {
    expect(await json('GET', '/v1/things?tags[]=a&tags[]=b&limit=7')).toEqual({ limit: 7, tags: ['a', 'b'] })
    const response = await fetch('GET', '/v1/things?limit=0')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { param: 'limit' } })
  })

  test('a route’s own limit holds', async () => {
    expect(await json('POST', '/v1/things', '{"name":"a"}')).toEqual({ name: 'a', size: 12 })
    const response = await fetch('POST', '/v1/things', JSON.stringify({ name: 'x'.repeat(100) }))
    expect(response.status).toBe(413)
  })
})
