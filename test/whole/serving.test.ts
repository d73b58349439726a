import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { chatReply, type MockUpstream } from '../../src/testing/index.ts'
import { askForChat, Program, startProgram, upstreamThat } from './program.ts'

setDefaultTimeout(60_000)

/** A body that is no JSON. */
function postInvalidBody(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: 'no json',
  })
}

/** One request as bytes, on a connection of its own: for what `fetch` would not send. */
async function raw(url: string, request: string): Promise<string> {
  const { port } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.end(request)
  let response = ''
  for await (const data of socket) response += String(data)
  return response
}

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'))

describe('a running server', () => {
  let upstream: MockUpstream
  let program: Program
  beforeAll(async () => {
    upstream = await upstreamThat(() => chatReply())
    program = await startProgram({ upstream: `${upstream.url}/v1`, server: { cors: true } })
  })
  afterAll(async () => {
    await program[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  test('prints its address and listens there, on 127.0.0.1', async () => {
    expect(program.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const response = await askForChat(program.url)
    expect(response.status).toBe(200)
    expect(((await response.json()) as { model: string }).model).toBe('mock/some-model')
  })

  test.if(hasIpv6)('and on ::1, which `localhost` is for some', async () => {
    expect((await fetch(`http://[::1]:${new URL(program.url).port}/v1/health`)).status).toBe(200)
  })

  test('with `cors: true`, pages of this machine may send any header, and pages of others nothing', async () => {
    const names = 'content-type, user-agent, x-title, http-referer, x-client-request-id, openai-organization, x-stainless-new-thing'
    const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': names }
    const ask = (origin: string) => fetch(`${program.url}/v1/chat/completions`, { method: 'OPTIONS', headers: { origin, ...preflight } })
    const allowed = await ask('http://localhost:5173')
    expect([allowed.status, allowed.headers.get('access-control-allow-headers')]).toEqual([204, names])
    expect((await ask('https://evil.example')).status).toBe(403)
    expect((await postInvalidBody(program.url, { origin: 'http://localhost:5173' })).status).toBe(400)
    expect((await postInvalidBody(program.url, { origin: 'https://evil.example' })).status).toBe(403)
  })

  test('writes one line a request: the principal, the route, the model and provider, and the outcome', async () => {
    await (await askForChat(program.url, {}, { headers: { 'x-request-id': 'line-1' } })).arrayBuffer()
    const line = await program.logged(({ request_id }) => request_id === 'line-1')
    expect(line).toMatchObject({
      level: 'info',
      msg: 'request',
      method: 'POST',
      route: '/v1/chat/completions',
      status: 200,
      model: 'mock/some-model',
      provider: 'mock',
      category: 'server',
    })
    expect(line.ms).toBeNumber()
    expect(program.log.filter(({ request_id }) => request_id === 'line-1')).toHaveLength(1)
  })

  test('the line of a failed request names the cause, and never a key', async () => {
    upstream.enqueue({ status: 401, body: JSON.stringify({ error: { message: 'Incorrect API key provided: key-of-the-operator.' } }) })
    const response = await askForChat(program.url, {}, { headers: { 'x-request-id': 'line-2' } })
    expect(response.status).toBe(401)
    const line = await program.logged(({ request_id }) => request_id === 'line-2')
    expect(line).toMatchObject({ status: 401 })
    expect(String(line.cause)).toContain('Incorrect API key provided')
    expect(program.output).not.toContain('key-of-the-operator')
  })

  test('every response has a request ID, including errors, unknown paths and bodies that are not JSON', async () => {
    const responses = [
      await fetch(`${program.url}/v1/health`),
      await fetch(`${program.url}/nowhere`),
      await fetch(`${program.url}/v1/chat/completions`),
      await postInvalidBody(program.url),
      await askForChat(program.url, { model: 'nobody/has-this' }),
    ]
    expect(responses.map(({ status }) => status)).toEqual([200, 404, 405, 400, 404])
    for (const { headers } of responses) expect(headers.get('x-request-id')).toMatch(/^req_\w+$/)
    const own = await fetch(`${program.url}/nowhere`, { headers: { 'x-request-id': 'mine' } })
    expect(own.headers.get('x-request-id')).toBe('mine')
  })

  test('[ERR-7] browsers can read errors as well: CORS headers are on every response', async () => {
    const origin = 'http://localhost:5173'
    const responses = [
      await fetch(`${program.url}/v1/health`, { headers: { origin } }),
      await fetch(`${program.url}/nowhere`, { headers: { origin } }),
      await fetch(`${program.url}/v1/chat/completions`, { headers: { origin } }),
      await postInvalidBody(program.url, { origin }),
    ]
    upstream.enqueue({ status: 500, body: 'broken' })
    responses.push(await askForChat(program.url, {}, { headers: { origin } }))
    expect(responses.map(({ status }) => status)).toEqual([200, 404, 405, 400, 500])
    for (const { headers } of responses) expect(headers.get('access-control-allow-origin')).toBe(origin)
  })

  test("a preflight is accepted, with Llama Stack's and Corral's own headers allowed in the development default", async () => {
    const response = await fetch(`${program.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'POST',
        'access-control-request-headers':
          'authorization,content-type,x-corral-provider-data,x-llamastack-provider-data,x-ogx-provider-data',
      },
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-origin')).toBe('http://localhost:5173')
    expect(response.headers.get('access-control-max-age')).toBe('600')
    expect(response.headers.get('vary')).toContain('Origin')
    expect(await response.text()).toBe('')
  })

  test('an OPTIONS without Origin goes to the routes', async () => {
    const response = await fetch(`${program.url}/v1/chat/completions`, { method: 'OPTIONS' })
    expect(response.headers.get('allow')).toContain('POST')
  })

  test('[SRV-5] a page that points its own name here gets nothing', async () => {
    const response = await raw(program.url, 'GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
    expect(response).toStartWith('HTTP/1.1 403')
    expect(response).toContain('host_not_allowed')
    const own = await raw(program.url, 'GET /v1/health HTTP/1.1\r\nHost: localhost:1234\r\nConnection: close\r\n\r\n')
    expect(own).toStartWith('HTTP/1.1 200')
  })

  test("the caller's key goes to the provider in place of the operator's", async () => {
    const from = upstream.requests.length
    await askForChat(program.url, {}, { headers: { 'x-llamastack-provider-data': '{"openai_compatible_api_key":"key-of-the-caller"}' } })
    expect(upstream.requests[from]?.headers.authorization).toBe('Bearer key-of-the-caller')
    expect(program.output).not.toContain('key-of-the-caller')
  })

  test('[GUA-6] provider data that is malformed is a 400 that does not repeat it, nor does the log', async () => {
    const response = await askForChat(
      program.url,
      {},
      { headers: { 'x-ogx-provider-data': '{"groq_api_key": sk-oops', 'x-request-id': 'data-1' } },
    )
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain('sk-oops')
    const line = await program.logged(({ request_id }) => request_id === 'data-1')
    expect(line).toMatchObject({ cause: expect.stringContaining('The header x-ogx-provider-data is not JSON.') })
    expect(program.output).not.toContain('sk-oops')
  })
})

test('a port that is taken is one line with the remedy', async () => {
  await using first = await startProgram()
  await using second = new Program({ port: Number(new URL(first.url).port) })
  expect(await second.exited).toBe(1)
  expect(second.output).toContain('is already in use')
  expect(second.output).toContain('--port')
  expect(second.output).not.toContain('    at ')
})

test('an address that others reach is refused unless it is meant', async () => {
  await using refused = new Program({ flags: ['--host', '0.0.0.0'] })
  expect(await refused.exited).not.toBe(0)
  expect(refused.output).toContain('server.allow_unauthenticated')
  await using open = await startProgram({ server: { host: '0.0.0.0', allow_unauthenticated: true } })
  const { port } = new URL(open.url)
  expect((await fetch(`http://127.0.0.1:${port}/v1/health`)).status).toBe(200)
  expect(await raw(open.url, 'GET /v1/health HTTP/1.1\r\nHost: corral.test\r\nConnection: close\r\n\r\n')).toStartWith('HTTP/1.1 200')
})
