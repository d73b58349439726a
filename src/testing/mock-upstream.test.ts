import { expect, test } from 'bun:test'
import {
  chatReply,
  chatStream,
  closeBeforeHead,
  errorReply,
  mockUpstream,
  refusingUrl,
  resetBeforeHead,
  splitAt,
  stall,
  stallBeforeHead,
} from './index.ts'

const post = (url: string, body: unknown = {}, signal?: AbortSignal): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body), ...(signal && { signal }) })

test('responds as scripted, keeps the connection and records requests', async () => {
  await using upstream = await mockUpstream()
  upstream.enqueue(chatReply('one'))
  upstream.respond(() => errorReply(429, undefined, { 'retry-after': '7' }))
  const first = await post(upstream.url, { model: 'x' })
  expect(await first.json()).toMatchObject({ choices: [{ message: { content: 'one' } }] })
  const second = await post(upstream.url)
  expect([second.status, second.headers.get('retry-after')]).toEqual([429, '7'])
  expect(await second.json()).toMatchObject({ error: { code: 'mock_429' } })
  expect(upstream.requests.map(({ method, path, connection, aborted }) => [method, path, connection, aborted])).toEqual([
    ['POST', '/v1/chat/completions', 0, false],
    ['POST', '/v1/chat/completions', 0, false],
  ])
  expect(upstream.requests[0]?.json).toEqual({ model: 'x' })
  expect(upstream.accepted).toBe(1)
})

test('streams chunks, splitting characters as scripted', async () => {
  await using upstream = await mockUpstream()
  upstream.enqueue(chatStream(['a', 'b']), { body: splitAt('data: "é"\n\n', 7, 8) })
  expect(await (await post(upstream.url)).text()).toEndWith('data: [DONE]\n\n')
  expect(await (await post(upstream.url)).text()).toBe('data: "é"\n\n')
})

test.each([
  ['reset before the head', resetBeforeHead],
  ['close before the head', closeBeforeHead],
  ['cut in the middle', { body: ['data: 1\n\n'], end: 'cut' } as const],
  ['reset in the middle', { body: ['data: 1\n\n'], end: 'reset' } as const],
])('%s is a failure to the client', async (_, script) => {
  await using upstream = await mockUpstream()
  upstream.respond(() => script)
  const failure = await post(upstream.url)
    .then((response) => response.text())
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  expect(failure).toBeInstanceOf(Error)
  await upstream.quiet({ closed: true })
})

test('a port where nothing listens refuses', async () => {
  const url = await refusingUrl()
  expect(await post(url).catch((error: Error) => error)).toBeInstanceOf(Error)
})

test.each([
  ['before the head', stallBeforeHead],
  ['before the first piece', { body: [stall] }],
  ['in the middle', { body: ['data: 1\n\n', stall] }],
  ['at the end', { body: ['data: 1\n\n'], end: 'stall' } as const],
])('records that the client left a stall %s', async (_, script) => {
  await using upstream = await mockUpstream()
  upstream.respond(() => script)
  const leaving = new AbortController()
  const reading = post(upstream.url, {}, leaving.signal)
    .then((response) => response.text())
    .catch((error: Error) => error)
  const request = await upstream.received(1)
  leaving.abort()
  expect(await reading).toBeInstanceOf(Error)
  await request.finished
  expect(request.aborted).toBe(true)
  await upstream.quiet({ closed: true })
  expect(upstream.active).toBe(0)
})

test('reads a large upload slowly', async () => {
  await using upstream = await mockUpstream({ readPause: 1 })
  upstream.enqueue(chatReply())
  const response = await post(upstream.url, { text: 'x'.repeat(500_000) })
  expect(response.status).toBe(200)
  expect(upstream.requests[0]?.bytes.length).toBeGreaterThan(500_000)
})
