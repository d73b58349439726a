import { expect, test } from 'bun:test'
import { createEgress } from '../../src/egress/egress.ts'
import { TurnBudget } from '../../src/egress/turn-budget.ts'
import { chatFrames, chatStream, mockUpstream, modelsReply, testConfig, testServer, upstreamProvider } from '../../src/testing/index.ts'

/** A budget whose turns come when the test says so. */
function heldTurns() {
  const waiting: (() => void)[] = []
  const asked = Promise.withResolvers<void>()
  let held = true
  let count = 0
  const budget = new TurnBudget({
    maxBytes: 16_384,
    maxTime: Infinity,
    nextTurn(run) {
      count += 1
      if (!held) return setImmediate(run)
      asked.resolve()
      return waiting.push(run)
    },
  })
  return {
    budget,
    /** Resolves when a stream has spent the budget and waits for a turn. */
    spent: asked.promise,
    get count() {
      return count
    },
    release() {
      held = false
      for (const run of waiting.splice(0)) run()
    },
  }
}

const words = Array.from({ length: 2000 }, (_, index) => ` word ${index}`)

test('[FAI-1] other requests are served while a stream waits for its turn, and it comes whole', async () => {
  const turns = heldTurns()
  await using upstream = await mockUpstream()
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['m']) : { body: [chatFrames(words).join('')] }))
  const config = testConfig({ providers: [upstreamProvider('up', upstream.url, { key: 'sk-0123456789abcdef' })] })
  await using server = await testServer(config, { egress: { budget: turns.budget } })
  const response = await server.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'up/m', stream: true, messages: [{ role: 'user', content: 'Hi' }] }),
  })
  let over = false
  const text = response.text().finally(() => (over = true))
  await turns.spent
  expect((await server.fetch('/v1/health')).status).toBe(200)
  expect(over).toBe(false)
  turns.release()
  const content = (await text)
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: {'))
    .map((frame) => (JSON.parse(frame.slice(6)) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content ?? '')
    .join('')
  expect(content).toBe(words.join(''))
  expect(await text).toEndWith('data: [DONE]\n\n')
  // Not one turn for all of it: as many as its size asks for.
  expect(turns.count).toBeGreaterThan(chatFrames(words).join('').length / 16_384 / 2)
})

test('[FAI-1] pieces of any size are handed out in slices, in order and whole', async () => {
  await using upstream = await mockUpstream()
  const egress = createEgress()
  for (const sizes of [[1], [16_384], [16_385], [5, 40_000, 7], [100_000, 100_000], [0, 16_383, 2, 70_000]]) {
    const pieces = sizes.map((size, at) => new Uint8Array(size).map((_, index) => (index * 7 + at) % 251))
    upstream.enqueue({ body: pieces })
    const { content } = await egress.request(`${upstream.url}/x`, { method: 'GET', headers: {}, signal: new AbortController().signal })
    const all: Uint8Array[] = []
    for (let read = await content.read(); read; read = await content.read()) {
      expect(read.length).toBeGreaterThan(0)
      expect(read.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(16_384)
      all.push(...read)
    }
    expect(Buffer.concat(all).equals(Buffer.concat(pieces))).toBe(true)
  }
})

test('[FAI-1] a read that waits for its turn ends when its body is cancelled', async () => {
  const turns = heldTurns()
  await using upstream = await mockUpstream()
  upstream.enqueue({ ...chatStream(), body: ['x'.repeat(100_000)], end: 'stall' })
  const egress = createEgress({ budget: turns.budget })
  const { content } = await egress.request(`${upstream.url}/x`, { method: 'GET', headers: {}, signal: new AbortController().signal })
  expect(await content.read()).toBeDefined()
  const waiting = content.read()
  await turns.spent
  content.cancel()
  turns.release()
  expect(await waiting).toBeUndefined()
  expect(await content.read()).toBeUndefined()
  await upstream.quiet({ closed: true })
})
