import { expect, test } from 'bun:test'
import { chatFrames, mockUpstream, modelsReply, testConfig, testServer, upstreamProvider, type Script } from '../../src/testing/index.ts'

const question = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'up/m', stream: true, messages: [{ role: 'user', content: 'Hi' }] }),
}

type Pieces = Exclude<Script['body'], string | Uint8Array | undefined>

const beginnings: readonly [string, Pieces, end?: Pieces][] = [
  ['nothing', []],
  ['a few comments', [': ping\n\n', { wait: 1 }, ': ping\n\n']],
  ['a flood of comments', [': processing\n\n'.repeat(100_000)]],
  ['keep-alive events without data', ['event: ping\n\n'.repeat(10)]],
  ['half a frame', ['data: {"choices":'], ['[]}\n\n']],
]

test.each(beginnings)('[FAI-3] a provider that sends its head and then %s: the response begins in time', async (_, begun, end = []) => {
  const gate = Promise.withResolvers<void>()
  const script: Script = { body: [...begun, { until: gate.promise }, ...end, ...chatFrames(['late'])] }
  await using upstream = await mockUpstream()
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['m']) : script))
  const config = testConfig({
    providers: [upstreamProvider('up', upstream.url, { key: 'sk-0123456789abcdef' })],
    // The next heartbeat would be minutes away.
    server: { streamHeadTimeout: 0.02, heartbeatInterval: 300 },
  })
  await using server = await testServer(config)
  const response = await server.fetch('/v1/chat/completions', question)
  expect(response.status).toBe(200)
  gate.resolve()
  const text = await response.text()
  expect(text).toStartWith(': ping\n\n')
  expect(text).toContain('late')
  expect(text).toEndWith('data: [DONE]\n\n')
})
