import { heapStats } from 'bun:jsc'
import { expect, setDefaultTimeout, test } from 'bun:test'
import { chatChunk, chatReply, chatStream, stall } from '../../src/testing/index.ts'
import { testConfig, testServer, upstreamProvider } from '../../src/testing/test-app.ts'
import { askForChat, upstreamThat } from './program.ts'

setDefaultTimeout(120_000)

/** What a request is made of: none of it may stay. */
const kinds = [
  'Request',
  'Response',
  'Headers',
  'AbortSignal',
  'AbortController',
  'ReadableStream',
  'RequestContext',
  'Exchange',
  'Timeout',
]

function alive(): Record<string, number> {
  Bun.gc(true)
  const counts = heapStats().objectTypeCounts
  return Object.fromEntries(kinds.map((kind) => [kind, counts[kind] ?? 0]))
}

test('no memory is retained per request: a few thousand JSON responses, streams, errors and disconnects', async () => {
  await using upstream = await upstreamThat(({ json }) => {
    if (json?.temperature === 1) return { status: 429, body: '{"error":{"message":"Slow down."}}' }
    if (json?.temperature === 2) return { body: [chatChunk({ content: 'Hel' }), stall] }
    return json?.stream ? chatStream() : chatReply()
  })
  await using server = await testServer(testConfig({ providers: [upstreamProvider('mock', upstream.url, { key: 'k' })] }))
  const { url, app } = server

  const round = async (): Promise<void> => {
    await Promise.all([
      askForChat(url).then((response) => response.arrayBuffer()),
      askForChat(url, { stream: true }).then((response) => response.arrayBuffer()),
      askForChat(url, { temperature: 1 }).then((response) => response.arrayBuffer()),
      askForChat(url, { model: 'unknown/model' }).then((response) => response.arrayBuffer()),
      leave(url),
    ])
  }
  const rounds = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done++) await round()
    while (app.activeRequests > 0 || upstream.active > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  await rounds(100)
  const before = alive()
  await rounds(500)
  const after = alive()
  // 2,500 requests: what grows with them would stand far above what the collector has not come to yet.
  const grown = kinds.filter((kind) => (after[kind] ?? 0) - (before[kind] ?? 0) > 250)
  expect({ grown, before, after }).toEqual({ grown: [], before, after })
  expect(app.activeRequests).toBe(0)
})

/** Asks for a stream and leaves in the middle. */
async function leave(url: string): Promise<void> {
  const caller = new AbortController()
  const response = await askForChat(url, { stream: true, temperature: 2 }, { signal: caller.signal })
  await response.body?.getReader().read()
  caller.abort()
}
