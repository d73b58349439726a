import { expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from 'node:net'
import { chatChunk, chatStream, stall } from '../../src/testing/index.ts'
import { askForChat, gone, isAlive, startProgram, upstreamThat } from './program.ts'

setDefaultTimeout(60_000)

/** The upstream's reply: one frame, and the rest once `more` resolves. */
function paused(more: Promise<unknown>) {
  return { body: [chatChunk({ content: 'Hel' }), { until: more }, ...(chatStream(['lo']).body as string[])] }
}

test('[SRV-1] SIGTERM: not ready first, no new connections then, and a running stream ends whole; exit code 0', async () => {
  const more = Promise.withResolvers<void>()
  await using upstream = await upstreamThat(() => paused(more.promise))
  await using program = await startProgram({ upstream: `${upstream.url}/v1`, server: { drain_grace_seconds: 1 } })
  expect((await fetch(`${program.url}/readyz`)).status).toBe(200)

  const response = await askForChat(program.url, { stream: true })
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>
  const decoder = new TextDecoder()
  let text = decoder.decode((await reader.read()).value)
  program.signal('SIGTERM')
  await program.logged(({ msg }) => msg.startsWith('SIGTERM'))
  const unready = await fetch(`${program.url}/readyz`)
  expect(unready.status).toBe(503)
  expect((await fetch(`${program.url}/v1/health`)).status).toBe(200)

  await refused(program.url)
  more.resolve()
  for (;;) {
    const { done: end, value } = await reader.read()
    if (end) break
    text += decoder.decode(value)
  }
  expect(text).toContain('"lo"')
  expect(text).toEndWith('data: [DONE]\n\n')
  expect(await program.exited).toBe(0)
  expect(program.log.some(({ msg }) => msg === 'all requests finished')).toBe(true)
})

/** Resolves once nothing listens there any more. */
async function refused(url: string): Promise<void> {
  for (;;) {
    try {
      await fetch(`${url}/v1/health`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    } catch (error) {
      expect(String(error)).toContain('ECONNREFUSED')
      return
    }
  }
}

test('a stream that does not finish in time ends with an error event, never as if it were complete', async () => {
  await using upstream = await upstreamThat(() => ({ body: [chatChunk({ content: 'Hel' }), stall] }))
  await using program = await startProgram({
    upstream: `${upstream.url}/v1`,
    server: { drain_grace_seconds: 0, drain_timeout_seconds: 0.5 },
  })
  const response = await askForChat(program.url, { stream: true })
  program.signal('SIGTERM')
  const text = await response.text()
  expect(text).toContain('"Hel"')
  expect(text).toContain('The server is shutting down.')
  expect(text).not.toContain('[DONE]')
  expect(await program.exited).toBe(0)
  await upstream.quiet({ closed: true })
})

test('a second signal, later, ends it at once', async () => {
  await using upstream = await upstreamThat(() => ({ body: [chatChunk({ content: 'Hel' }), stall] }))
  await using program = await startProgram({ upstream: `${upstream.url}/v1` })
  const response = await askForChat(program.url, { stream: true })
  program.signal('SIGINT')
  await program.logged(({ msg }) => msg.startsWith('SIGINT'))
  // Within a second it would count as the same Ctrl+C, which reaches the whole process group.
  await new Promise((resolve) => setTimeout(resolve, 1100))
  program.signal('SIGINT')
  expect(await program.exited).toBe(130)
  await response.body?.cancel().catch(() => undefined)
})

test('Ctrl+C, which reaches launcher and server both, still lets a stream end', async () => {
  const more = Promise.withResolvers<void>()
  await using upstream = await upstreamThat(() => paused(more.promise))
  await using program = await startProgram({ upstream: `${upstream.url}/v1` })
  const response = await askForChat(program.url, { stream: true })
  program.signalAll('SIGINT')
  await program.logged(({ msg }) => msg.startsWith('SIGINT'))
  more.resolve()
  expect(await response.text()).toEndWith('data: [DONE]\n\n')
  expect(await program.exited).toBe(0)
})

test('kill -9 of the launcher leaves no server behind', async () => {
  await using program = await startProgram()
  const line = await program.logged(({ msg }) => msg.startsWith('Corral serves'))
  const server = Number(line.pid)
  expect(isAlive(server)).toBe(true)
  program.signal('SIGKILL')
  await gone([server])
})

test('a caller that leaves in the middle of a stream stops the upstream', async () => {
  await using upstream = await upstreamThat(() => ({ body: [chatChunk({ content: 'Hel' }), stall] }))
  await using program = await startProgram({ upstream: `${upstream.url}/v1` })
  const caller = new AbortController()
  const response = await askForChat(program.url, { stream: true }, { signal: caller.signal })
  const reader = response.body?.getReader()
  await reader?.read()
  const request = await upstream.received(2)
  caller.abort()
  await request.finished
  expect(request.aborted).toBe(true)
  const line = await program.logged(({ msg, route }) => msg === 'request' && route === '/v1/chat/completions')
  expect(line).toMatchObject({ client_disconnected: true, model: 'mock/some-model', provider: 'mock' })
})

test('callers that stopped sending are not awaited: a body, a head, an unread body', async () => {
  await using program = await startProgram({ server: { drain_grace_seconds: 0, drain_timeout_seconds: 600 } })
  const { port } = new URL(program.url)
  const responses: string[] = []
  const closed = [
    'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"mod',
    'POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"mod',
    'GET /readyz HTTP/1.1\r\nhost: loc',
  ].map(async (bytes, index) => {
    const socket = connect(Number(port), '127.0.0.1')
    responses[index] = ''
    socket.on('data', (data) => (responses[index] += String(data)))
    // The server may have closed it before it was read.
    socket.on('error', () => undefined)
    socket.write(bytes)
    await new Promise((resolve) => socket.once('close', resolve))
  })
  await program.logged(({ route }) => route === '/nowhere')
  // Its response came after the others: so their bytes were read.
  expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  program.signal('SIGTERM')
  expect(await program.exited).toBe(0)
  await Promise.all(closed)
  expect(responses[0]).toStartWith('HTTP/1.1 503')
  expect(responses[0]).toContain('shutting_down')
  expect(responses[1]).toStartWith('HTTP/1.1 404')
  expect(program.log.some(({ msg }) => msg === 'all requests finished')).toBe(true)
})
