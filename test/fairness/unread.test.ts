import { expect, test } from 'bun:test'
import { connect } from 'node:net'
import {
  chatChunk,
  mockUpstream,
  modelsReply,
  recordedLog,
  stall,
  testConfig,
  testServer,
  upstreamProvider,
} from '../../src/testing/index.ts'
import { RequestContext } from '../../src/http/middleware/context.ts'
import type { Ticker } from '../../src/http/sse.ts'

/** Time that passes when the test says so. */
function manualTicker(): { ticker: Ticker; tick: () => void } {
  const running = new Set<() => void>()
  return {
    ticker(tick) {
      running.add(tick)
      return { stop: () => void running.delete(tick) }
    },
    tick() {
      for (const tick of running) tick()
    },
  }
}

const body = JSON.stringify({ model: 'up/m', stream: true, messages: [{ role: 'user', content: 'Hi' }] })
const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
/** More than the buffers of two sockets hold. */
const flood = Array.from({ length: 24 }, (_, index) => chatChunk({ content: String(index).repeat(500_000) }))

test('[FAI-2] a caller that reads nothing ends its stream: upstream closed, settled, logged', async () => {
  const { ticker, tick } = manualTicker()
  await using upstream = await mockUpstream()
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['m']) : { body: [...flood, stall] }))
  const log = recordedLog()
  const config = testConfig({ providers: [upstreamProvider('up', upstream.url, { key: 'sk-0123456789abcdef' })] })
  await using server = await testServer(config, { log, ticker })
  const { port } = new URL(server.url)
  const caller = connect(Number(port), '127.0.0.1')
  caller.pause()
  caller.write(head + body)
  const asked = async () => {
    for (;;) {
      const request = upstream.requests.find(({ method }) => method === 'POST')
      if (request) return request
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const request = await asked()
  while (!request.aborted) {
    tick()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await upstream.quiet()
  const lines = log.lines.filter(({ message, fields }) => message === 'request' && fields['route'] === '/v1/chat/completions')
  expect(lines).toHaveLength(1)
  expect(lines[0]?.fields).toMatchObject({ status: 200, error_type: 'invalid_request_error' })
  expect(JSON.stringify(lines[0]?.fields['cause'])).toContain('The client did not read the response for 300 s; the stream was closed.')
  const inferences = log.lines.filter(({ message }) => message === 'inference finished')
  expect(inferences.map(({ fields }) => fields['outcome'])).toEqual(['cancelled'])
  expect(server.app.activeRequests).toBe(0)
  caller.destroy()
})

test('[FAI-2] a caller that reads keeps its stream, however long the upstream is silent', async () => {
  const { ticker, tick } = manualTicker()
  const gate = Promise.withResolvers<void>()
  await using upstream = await mockUpstream()
  upstream.respond(({ path }) =>
    path.endsWith('/models')
      ? modelsReply(['m'])
      : { body: [chatChunk({ content: 'a' }), { until: gate.promise }, chatChunk({ content: 'b' }), 'data: [DONE]\n\n'] },
  )
  const config = testConfig({ providers: [upstreamProvider('up', upstream.url, { key: 'sk-0123456789abcdef' })] })
  await using server = await testServer(config, { ticker })
  const response = await server.fetch('/v1/chat/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  let text = ''
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece
    for (let count = 0; count < 20; count += 1) tick()
    gate.resolve()
  }
  expect(text).toEndWith('data: [DONE]\n\n')
  expect(text).not.toContain('"error"')
})

test('[FAI-2] the connection of a caller that did not read is not kept for its next request', () => {
  const reported: string[] = []
  const connections = { mayIdle: () => void reported.push('may idle'), closeUnread: () => void reported.push('closed') }
  for (const closes of [false, true]) {
    const context = new RequestContext(new Request('http://localhost/'), connections)
    context.status = 200
    context.closesConnection = closes
    context.complete()
  }
  expect(reported).toEqual(['may idle', 'closed'])
})
