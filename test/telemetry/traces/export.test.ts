import { expect, test } from 'bun:test'
import { CallerUrl } from '../../../src/egress/egress.ts'
import { chatFrames, chatReply, errorReply, mockUpstream, recordedLog, stall } from '../../../src/testing/index.ts'
import { testConfig, testServer, upstreamProvider } from '../../../src/testing/test-app.ts'
import { exporting, startTraceServer, until } from './trace-server.ts'

test('[TRC-1] a streamed chat arrives at the collector as one tree', async () => {
  await using at = await startTraceServer()
  const response = await at.chat({ stream: true, temperature: 0.5, max_tokens: 9 })
  expect(await response.text()).toContain('[DONE]')
  const spans = await at.spans(2)
  expect(spans).toHaveLength(2)
  const [server, client] = [spans.find((span) => span.kind === 2)!, spans.find((span) => span.kind === 3)!]
  expect([server.name, client.name]).toEqual(['POST /v1/chat/completions', 'chat m'])
  expect(server.traceId).toBe(response.headers.get('x-trace-id')!)
  expect([client.traceId, client.parentSpanId, server.parentSpanId]).toEqual([server.traceId, server.spanId, ''])
  expect(server.attributes).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/v1/chat/completions',
    'http.response.status_code': 200,
    'url.path': '/v1/chat/completions',
    'url.scheme': 'http',
    'corral.request_id': response.headers.get('x-request-id')!,
    'corral.model': 'p/m',
    'corral.provider': 'p',
  })
  expect(client.attributes).toMatchObject({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai-compatible',
    'gen_ai.request.model': 'm',
    'gen_ai.request.stream': true,
    'gen_ai.request.temperature': 0.5,
    'gen_ai.request.max_tokens': 9,
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.response.model': 'mock-upstream-model',
    'gen_ai.usage.input_tokens': 9,
    'gen_ai.usage.output_tokens': 3,
    'server.address': '127.0.0.1',
    'server.port': at.upstream.port,
  })
  expect(client.attributes['gen_ai.response.time_to_first_chunk']).toBeNumber()
  expect(client.start).toBeGreaterThanOrEqual(server.start)
  expect(client.end).toBeLessThanOrEqual(server.end)
  expect(Math.abs(server.end - Date.now())).toBeLessThan(60_000)
  expect(server.resource).toMatchObject({ 'service.name': 'corral', 'telemetry.sdk.name': 'opentelemetry' })
  expect(client.schemaUrl).toBe('https://opentelemetry.io/schemas/1.41.0')
  const [request] = at.receiver.requests
  expect([request?.path, request?.headers.get('content-type'), request?.headers.get('x-token')]).toEqual([
    '/v1/traces',
    'application/x-protobuf',
    's3cret',
  ])
})

test('[TRC-2] a caller’s traceparent is the root, and the provider sees the span of its own call', async () => {
  await using at = await startTraceServer()
  at.upstream.respond(() => chatReply())
  const [traceId, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  const headers = { traceparent: `00-${traceId}-${parent}-01`, tracestate: 'vendor=x', baggage: 'user=alice' }
  const response = await at.chat({}, headers)
  expect([response.status, response.headers.get('x-trace-id')]).toEqual([200, traceId])
  const spans = await at.spans(2)
  const [server, client] = [spans.find((span) => span.kind === 2)!, spans.find((span) => span.kind === 3)!]
  expect([server.traceId, server.parentSpanId, server.traceState]).toEqual([traceId, parent, 'vendor=x'])
  const requestBody = at.upstream.requests.find(({ method }) => method === 'POST')
  expect([requestBody?.headers['traceparent'], requestBody?.headers['tracestate'], requestBody?.headers['baggage']]).toEqual([
    `00-${traceId}-${client.spanId}-01`,
    'vendor=x',
    undefined,
  ])
  expect(client.attributes['gen_ai.response.finish_reasons']).toEqual(['stop'])
})

test('[TRC-3] what is not sampled is not exported, and the provider is informed', async () => {
  await using at = await startTraceServer(exporting('http://127.0.0.1:1', { sampler: 'always_off' }))
  at.upstream.respond(() => chatReply())
  const response = await at.chat()
  expect(response.headers.get('x-trace-id')).toMatch(/^[\da-f]{32}$/)
  const requestBody = at.upstream.requests.find(({ method }) => method === 'POST')
  expect(requestBody?.headers['traceparent']).toMatch(/-00$/)
})

test('[TRC-4] a failure shows what came back', async () => {
  await using at = await startTraceServer()
  at.upstream.respond(() => errorReply(429, { error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limited' } }))
  const response = await at.chat()
  expect(response.status).toBe(429)
  const spans = await at.spans(2)
  const [server, client] = [spans.find((span) => span.kind === 2)!, spans.find((span) => span.kind === 3)!]
  expect([server.status, client.status]).toEqual([0, 2])
  expect(client.attributes).toMatchObject({
    'error.type': 'rate_limited',
    'corral.upstream.status_code': 429,
    'corral.request.shape': '{model: text 3, messages: [1 × {role: text 4, content: text 2}]}',
  })
  expect(client.attributes['corral.upstream.body']).toContain('slow down')
  expect(client.events.map((event) => event.name)).toEqual(['exception'])
})

test('[TRC-4] the type of an error is a word, whatever a provider calls its own', async () => {
  const log = recordedLog()
  await using at = await startTraceServer({}, { log })
  const cases = [
    [{ type: 'T', code: 'context_length_exceeded' }, 'context_length_exceeded'],
    [{ type: 'T', code: 'a\u001b[31m b' }, '400'],
    [{ type: 'T'.repeat(5_000) }, '400'],
  ] as const
  for (const [error, type] of cases) {
    at.upstream.respond(({ method }) => (method === 'GET' ? undefined : errorReply(400, { error: { message: 'no', ...error } })))
    const before = at.receiver.spans.length
    await (await at.chat()).text()
    const spans = (await at.spans(before + 2)).slice(before)
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual([type, type])
  }
  const reported = log.lines.filter(({ message }) => message === 'request').map(({ fields }) => String(fields['error_type']).length)
  expect([reported.length, Math.max(...reported)]).toEqual([3, 65])
})

test('[TRC-5] a caller that leaves ends its spans', async () => {
  await using at = await startTraceServer()
  at.upstream.respond(({ method }) => (method === 'GET' ? undefined : { body: [chatFrames()[0]!, chatFrames()[1]!, stall] }))
  const leaving = new AbortController()
  const response = await at.server.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'p/m', stream: true, messages: [{ role: 'user', content: 'hi' }] }),
    signal: leaving.signal,
  })
  await response.body!.getReader().read()
  leaving.abort()
  const spans = await at.spans(2)
  expect(spans.find((span) => span.kind === 3)!.attributes['corral.outcome']).toBe('cancelled')
  expect(spans.find((span) => span.kind === 2)!.attributes['corral.client_disconnected']).toBe(true)
})

test('[TRC-6] a collector that fails costs nothing but one line and its spans; they come once it is back', async () => {
  const log = recordedLog()
  await using at = await startTraceServer({}, { log })
  at.upstream.respond(() => chatReply())
  at.receiver.behave(() => new Response('no', { status: 503, headers: { 'retry-after': '0' } }))
  expect((await at.chat()).status).toBe(200)
  await until(() => at.receiver.requests.length >= 2)
  expect((await at.chat()).status).toBe(200)
  at.receiver.behave(() => undefined)
  expect(await at.spans(4)).toHaveLength(4)
  await until(() => log.lines.some((line) => line.message === 'dependency recovered'))
  const reported = log.lines.filter((line) => line.message === 'dependency unavailable')
  expect(reported).toHaveLength(1)
  expect(JSON.stringify(reported)).toContain('trace collector')
  expect(JSON.stringify(log.lines)).not.toContain('s3cret')
})

test('[TRC-6] spans that a collector refuses for good are dropped, not sent again', async () => {
  await using at = await startTraceServer()
  at.upstream.respond(() => chatReply())
  at.receiver.behave(() => new Response('bad', { status: 400 }))
  await at.chat()
  await until(() => at.receiver.requests.length === 1)
  at.receiver.behave(() => undefined)
  await at.chat()
  expect(await at.spans(2)).toHaveLength(2)
})

test('[TRC-4] what did not get as far as a provider shows the shape of what came in, and nothing that was said', async () => {
  await using at = await startTraceServer()
  const said = 'nobody is to know'
  expect((await at.chat({ max_tokens: said })).status).toBe(400)
  expect((await at.chat({ model: 'q/m', metadata: { a: said } })).status).toBe(404)
  at.upstream.respond(() => errorReply(500))
  expect((await at.chat({})).status).toBe(500)
  const spans = await at.spans(4)
  const shapes = spans.map(({ name, attributes }) => [name, attributes['corral.request.shape']])
  const messages = 'messages: [1 × {role: text 4, content: text 2}]'
  expect(shapes).toEqual([
    ['POST /v1/chat/completions', `{model: text 3, ${messages}, max_tokens: text ${said.length}}`],
    ['POST /v1/chat/completions', `{model: text 3, ${messages}, metadata: {a: text ${said.length}}}`],
    ['POST /v1/chat/completions', undefined],
    ['chat m', `{model: text 3, ${messages}}`],
  ])
  expect(JSON.stringify(spans)).not.toContain(said)
})

test('[TRC-7] what is left is sent when the server stops', async () => {
  const at = await startTraceServer(exporting('http://127.0.0.1:1'))
  const { receiver } = at
  await using own = await startTraceServer({ ...exporting(receiver.url, { delay: 600_000 }) })
  own.upstream.respond(() => chatReply())
  await own.chat()
  await own.server[Symbol.asyncDispose]()
  expect(receiver.spans).toHaveLength(2)
  await at[Symbol.asyncDispose]()
})

test('[TRC-2] a host that a caller named learns nothing of the trace', async () => {
  await using upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const provider = upstreamProvider('p', 'http://unused', {
    key: 'k',
    baseUrl: () => CallerUrl.parse(`${upstream.url}/v1`, { source: 'a test' }),
    parseModels: false,
  })
  const config = testConfig({ providers: [provider], egress: { allow: ['127.0.0.1'] } })
  await using server = await testServer(config)
  const response = await server.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'a=b' },
    body: JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'hi' }] }),
  })
  expect(response.status).toBe(200)
  expect(upstream.requests.length).toBeGreaterThan(0)
  const names = upstream.requests.flatMap(({ headers }) => Object.keys(headers))
  expect(names.filter((name) => /^trace|^baggage/.test(name))).toEqual([])
})
