import { heapStats } from 'bun:jsc'
import { describe, expect, test } from 'bun:test'
import { chatChunk, chatFrames, chatReply, chatStream, done, errorReply, stall, stallBeforeHead } from '../../src/testing/index.ts'
import { upstreamRequests, dataOf, chatBody, startRelay } from './relay-server.ts'

const path = '/v1/chat/completions'
const streaming = { ...chatBody, stream: true }

/** Reads until `enough` holds of all that was read. */
async function readUntil(response: Response, enough: (text: string) => boolean): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const reader = response.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  while (!enough(text)) {
    const { done: over, value } = await reader.read()
    if (over) throw new Error(`The stream ended: ${text}`)
    text += decoder.decode(value, { stream: true })
  }
  return reader
}

/** How many objects live that each request has at least one of. */
function alive(): number {
  Bun.gc(true)
  const { objectTypeCounts } = heapStats()
  return ['AbortController', 'AbortSignal', 'ReadableStream', 'Request', 'Response', 'Timeout']
    .map((type) => objectTypeCounts[type] ?? 0)
    .reduce((sum, count) => sum + count, 0)
}

describe('a caller that leaves ends the upstream’s work at once', () => {
  test('before the headers of a JSON response', async () => {
    await using on = await startRelay([stallBeforeHead])
    const caller = new AbortController()
    const pending = on.post(path, chatBody, { signal: caller.signal }).catch((error: Error) => error.name)
    const request = await on.upstream.received(2)
    caller.abort()
    expect(await pending).toBe('AbortError')
    await request.finished
    expect(request.aborted).toBe(true)
  })

  test('before the head of a stream', async () => {
    await using on = await startRelay([stallBeforeHead])
    const caller = new AbortController()
    const pending = on.post(path, streaming, { signal: caller.signal }).catch((error: Error) => error.name)
    const request = await on.upstream.received(2)
    caller.abort()
    await pending
    await request.finished
    expect(request.aborted).toBe(true)
  })

  test('before the head, while heartbeats are sent', async () => {
    await using on = await startRelay([stallBeforeHead], {}, { streamHeadTimeout: 0.02, heartbeatInterval: 0.02 })
    const caller = new AbortController()
    const response = await on.post(path, streaming, { signal: caller.signal })
    await readUntil(response, (text) => text.includes(': ping'))
    caller.abort()
    const request = await on.upstream.received(2)
    await request.finished
    expect(request.aborted).toBe(true)
  })

  test('in the middle of a stream, and in its silence', async () => {
    await using on = await startRelay([{ body: [chatFrames()[0]!, stall] }])
    const caller = new AbortController()
    const response = await on.post(path, streaming, { signal: caller.signal })
    await readUntil(response, (text) => text.includes('\n\n'))
    caller.abort()
    const request = await on.upstream.received(2)
    await request.finished
    expect(request.aborted).toBe(true)
  })

  test('and is no failure in the log', async () => {
    await using on = await startRelay([stallBeforeHead, { body: [chatFrames()[0]!, stall] }])
    for (const body of [chatBody, streaming]) {
      const caller = new AbortController()
      const pending = on.post(path, body, { signal: caller.signal })
      const before = upstreamRequests(on).length
      while (upstreamRequests(on).length === before) await new Promise((resolve) => setTimeout(resolve, 2))
      if ('stream' in body) await readUntil(await pending, (text) => text.includes('\n\n'))
      caller.abort()
      await pending.catch(() => undefined)
    }
    await on.upstream.quiet()
    while (on.lines.filter(({ fields }) => fields['route'] === path).length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(on.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([])
  })

  test('in-process too, by cancelling the body', async () => {
    await using on = await startRelay([{ body: [chatFrames()[0]!, stall] }])
    const response = await on.server.app.fetch(
      new Request(`http://127.0.0.1${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(streaming),
      }),
    )
    const reader = await readUntil(response, (text) => text.includes('\n\n'))
    await reader.cancel()
    const request = await on.upstream.received(2)
    await request.finished
    expect(request.aborted).toBe(true)
  })
})

describe('an upstream that takes its time', () => {
  const quick = { streamHeadTimeout: 0.03, heartbeatInterval: 0.02 }

  test('its error is the status while the head has not been sent', async () => {
    await using on = await startRelay([{ ...errorReply(401), before: { wait: 20 } }], {}, { streamHeadTimeout: 5 })
    expect((await on.post(path, streaming)).status).toBe(401)
  })

  test('heartbeats fill the silence before its head, then comes the stream', async () => {
    await using on = await startRelay([{ ...chatStream(), before: { wait: 150 } }], {}, quick)
    const response = await on.post(path, streaming)
    expect(response.status).toBe(200)
    const text = await response.text()
    expect(text).toStartWith(': ping\n\n')
    expect(dataOf(text).at(-1)).toBe('[DONE]')
  })

  test.each([
    ['answers 401', { ...errorReply(401, { error: { message: 'Invalid API Key' } }), before: { wait: 150 } }, 'Invalid API Key'],
    ['resets', { raw: '', end: 'reset', before: { wait: 150 } }, 'did not complete its response'],
    ['never answers', stallBeforeHead, 'timed out'],
  ] as const)('when it then %s the caller gets an error event and the end', async (_, script, message) => {
    await using on = await startRelay([script], { network: { firstByteTimeout: 300 } }, quick)
    const response = await on.post(path, streaming)
    expect(response.status).toBe(200)
    const text = await response.text()
    const data = dataOf(text)
    expect(data).toHaveLength(1)
    expect(data[0]).toContain(message)
    expect(text).toEndWith(`${data[0]}\n\n`)
  })

  test('heartbeats fill every later silence, between whole frames only', async () => {
    const frames = chatFrames()
    const [first, second] = [frames[0]!, frames[1]!]
    const halves = [second.slice(0, 20), { wait: 100 }, second.slice(20)]
    await using on = await startRelay([{ body: [first, { wait: 100 }, ...halves, ...frames.slice(2)] }], {}, { heartbeatInterval: 0.02 })
    const text = await (await on.post(path, streaming)).text()
    const parts = text.split('\n\n').slice(0, -1)
    expect(parts.filter((part) => part === ': ping').length).toBeGreaterThan(1)
    for (const part of parts) expect(part === ': ping' || part.startsWith('data: ')).toBe(true)
    for (const data of dataOf(text).slice(0, -1)) expect(() => JSON.parse(data) as unknown).not.toThrow()
    expect(parts.at(-1)).toBe('data: [DONE]')
  })

  test('a plain request just waits', async () => {
    await using on = await startRelay([{ ...chatReply(), before: { wait: 100 } }], {}, quick)
    const response = await on.post(path, chatBody)
    expect(await response.json()).toMatchObject({ model: 'up/m' })
  })
})

describe('a caller that reads slowly', () => {
  test('holds the upstream back, and gets everything', async () => {
    const piece = chatChunk({ content: 'x'.repeat(64 * 1024) })
    const count = 600
    await using on = await startRelay()
    const body = Array<string>(count).fill(piece)
    on.upstream.respond(({ path: asking }) => (asking.endsWith('/models') ? undefined : { body: [...body, done] }))
    const response = await on.post(path, streaming)
    const reader = response.body!.getReader()
    let size = (await reader.read()).value!.length
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(on.upstream.active).toBe(1)
    for (let read = await reader.read(); !read.done; read = await reader.read()) size += read.value.length
    expect(size).toBeGreaterThan(count * 64 * 1024)
    await on.upstream.quiet()
  })
})

describe('nothing is left behind', () => {
  test('connections are reused: JSON responses, streams and errors', async () => {
    await using on = await startRelay(Array.from({ length: 30 }, (_, at) => [chatReply(), chatStream(), errorReply(429)][at % 3]!))
    for (let round = 0; round < 30; round += 1) {
      await (await on.post(path, round % 3 === 1 ? streaming : chatBody)).text()
      await on.upstream.quiet()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(on.upstream.accepted).toBeLessThanOrEqual(2)
  })

  test('after streams that ended, failed and were left, no request is open and nothing of it lives on', async () => {
    const scripts = [chatStream(), { body: chatFrames().slice(0, 2), end: 'reset' }, { body: [chatFrames()[0]!, stall] }] as const
    await using on = await startRelay()
    let count = 0
    on.upstream.respond(({ path: asking }) => (asking.endsWith('/models') ? undefined : scripts[count++ % 3]))
    const round = async (): Promise<void> => {
      await Promise.all(
        Array.from({ length: 60 }, async () => {
          const caller = new AbortController()
          const response = await on.post(path, streaming, { signal: caller.signal })
          const reader = response.body!.getReader()
          await reader.read()
          caller.abort()
          await reader.cancel().catch(() => undefined)
        }),
      )
      await on.upstream.quiet()
    }
    for (let warm = 0; warm < 3; warm += 1) await round()
    const before = alive()
    for (let more = 0; more < 10; more += 1) await round()
    // 600 requests more; what the collector has not come to yet is of the last round.
    expect(alive() - before).toBeLessThan(120)
  })
})
