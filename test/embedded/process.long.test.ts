import { describe, expect, test, setDefaultTimeout } from 'bun:test'
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { llamaCppConfig } from '../../src/providers/inference/llama-cpp/config.ts'
import { createModelProcess } from '../../src/providers/inference/llama-cpp/provider.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { endless, tinyModel } from '../../src/testing/tiny-model.ts'
import { eventsOf, helloMessages, startEmbedded, until, type ChatReply, type ErrorReply, type EmbeddedServer } from './embedded-server.ts'

// Each process of models takes a second to start, more on a busy machine.
setDefaultTimeout(60_000)

/** Talks until its context is full, which takes a while. */
const talker = { talker: { follow: endless } }
const roomy = { context_size: 32_768, slots: 2, queue: 1 }

async function busy(on: EmbeddedServer): Promise<number> {
  return (await on.slots())['talker']?.busy ?? 0
}

/** Begins a stream and resolves once the first words have come. */
async function begin(on: EmbeddedServer, signal?: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await on.post('chat/completions', { messages: helloMessages, stream: true }, signal ? { signal } : {})
  expect(response.status).toBe(200)
  const reader = response.body!.getReader()
  await reader.read()
  return reader
}

describe('slots', () => {
  test('[EMB-4] a client that disconnects in the middle of a stream frees its slot', async () => {
    await using on = await startEmbedded(talker, roomy)
    const leave = new AbortController()
    await begin(on, leave.signal)
    expect(await busy(on)).toBe(1)
    leave.abort()
    await until(async () => (await busy(on)) === 0)
  })

  test('[EMB-4] a client that disconnects while it waits for a JSON response frees its slot', async () => {
    await using on = await startEmbedded(talker, roomy)
    const leave = new AbortController()
    const gone = on.post('chat/completions', { messages: helloMessages }, { signal: leave.signal }).catch(() => 'left')
    await until(async () => (await busy(on)) === 1)
    leave.abort()
    expect(await gone).toBe('left')
    await until(async () => (await busy(on)) === 0)
  })

  test('are shared: each serves one request, the next waits, and a full queue is 429 with Retry-After', async () => {
    await using on = await startEmbedded(talker, roomy)
    const leave = new AbortController()
    await begin(on, leave.signal)
    await begin(on)
    const waits = on.ask<ChatReply>('chat/completions', { messages: helloMessages, max_tokens: 4 })
    await until(async () => (await on.slots())['talker']?.waiting === 1)
    expect(await busy(on)).toBe(2)
    const turnedAway = await on.post('chat/completions', { messages: helloMessages })
    expect(turnedAway.status).toBe(429)
    expect(turnedAway.headers.get('retry-after')).toBe('2')
    leave.abort()
    expect((await waits).choices[0]?.message.content).toBe('abcd')
  })

  test('a client that disconnects leaves the queue', async () => {
    await using on = await startEmbedded(talker, roomy)
    await begin(on)
    await begin(on)
    const leave = new AbortController()
    const gone = on.post('chat/completions', { messages: helloMessages }, { signal: leave.signal }).catch(() => 'left')
    await until(async () => (await on.slots())['talker']?.waiting === 1)
    leave.abort()
    expect(await gone).toBe('left')
    await until(async () => (await on.slots())['talker']?.waiting === 0)
  })

  test('a response that fills its context ends with `length`', async () => {
    await using on = await startEmbedded(talker, { context_size: 512 })
    const reply = await on.ask<ChatReply>('chat/completions', { messages: helloMessages })
    expect(reply.choices[0]?.finish_reason).toBe('length')
    expect(reply.usage.total_tokens).toBeLessThanOrEqual(512)
    expect(reply.usage.total_tokens).toBeGreaterThan(480)
  })
})

describe('a crash of the model process', () => {
  test.each(['SIGKILL', 'SIGSEGV'] as const)(
    'by %s in the middle of a stream is an error event, and the next request succeeds',
    async (signal) => {
      await using on = await startEmbedded(talker, roomy)
      const response = await on.post('chat/completions', { messages: helloMessages, stream: true })
      const events = eventsOf(response)
      await until(async () => (await busy(on)) === 1)
      process.kill(on.process.pid!, signal)
      const last = (await events).at(-1) as ErrorReply
      expect(last.error.type).toBe('upstream_error')
      // The connection may be seen to close before the process is seen to be gone; what comes in between fails as well.
      await until(() => on.process.restarts === 1)
      const reply = await on.ask<ChatReply>('chat/completions', { messages: helloMessages, max_tokens: 4 })
      expect(reply.choices[0]?.message.content).toBe('abcd')
      expect(on.process.restarts).toBe(1)
      expect(on.log.some(({ message }) => message.includes(signal))).toBeTrue()
    },
  )

  test('[EMB-1] during a JSON response is 502; the server keeps running and the process restarts', async () => {
    await using on = await startEmbedded(talker, roomy)
    const pending = on.post('chat/completions', { messages: helloMessages })
    await until(async () => (await busy(on)) === 1)
    process.kill(on.process.pid!, 'SIGKILL')
    const response = await pending
    expect(response.status).toBe(502)
    expect(((await response.json()) as ErrorReply).error.type).toBe('upstream_error')
    await until(() => on.process.restarts === 1)
    expect((await on.ask<ChatReply>('chat/completions', { messages: helloMessages, max_tokens: 2 })).choices[0]?.message.content).toBe('ab')
  })
})

describe('the model process', () => {
  test('ends with the process that started it, killed or not', async () => {
    const script = `
      import { createModelProcess } from ${JSON.stringify(join(import.meta.dir, '../../src/providers/inference/llama-cpp/provider.ts'))}
      import { llamaCppConfig } from ${JSON.stringify(join(import.meta.dir, '../../src/providers/inference/llama-cpp/config.ts'))}
      import { silentLog } from ${JSON.stringify(join(import.meta.dir, '../../src/telemetry/logger.ts'))}
      const models = createModelProcess(llamaCppConfig.parse({}), silentLog)
      await models.ready()
      console.log(JSON.stringify({ pid: models.pid, socket: models.socket }))
      setInterval(() => undefined, 1000)
    `
    const parent = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'inherit' })
    const { value } = await parent.stdout.getReader().read()
    const { pid, socket } = JSON.parse(new TextDecoder().decode(value)) as { pid: number; socket: string }
    expect(isAlive(pid)).toBeTrue()
    expect(existsSync(socket)).toBeTrue()
    parent.kill('SIGKILL')
    await parent.exited
    await until(() => !isAlive(pid))
    expect(existsSync(dirname(socket))).toBeFalse()
  })

  test('is stopped with its owner, and starts no more', async () => {
    const models = createModelProcess(llamaCppConfig.parse({}), silentLog)
    await models.ready()
    const { pid } = models
    await models[Symbol.asyncDispose]()
    expect(isAlive(pid!)).toBeFalse()
    expect(models.ready()).rejects.toThrow('stopped')
  })

  test('survives a file that is no model, and says what is wrong with it', async () => {
    await using on = await startEmbedded({ tiny: {} })
    const whole = tinyModel()
    writeFileSync(join(on.folder, 'cut.gguf'), whole.slice(0, whole.length / 2))
    writeFileSync(join(on.folder, 'text.gguf'), 'This is no model.')
    for (const name of ['cut', 'text']) {
      const response = await on.post('chat/completions', { model: `llama-cpp/${name}`, messages: helloMessages })
      expect(response.status).toBe(503)
      expect(((await response.json()) as ErrorReply).error.message).toContain(`'${name}' could not be loaded`)
    }
    expect((await on.ask<ChatReply>('chat/completions', { messages: helloMessages })).choices[0]?.message.content).toBe('Hi, you.')
    expect(on.process.restarts).toBe(0)
  })

  test('has the model in memory before the first request, where it is the only provider', async () => {
    await using on = await startEmbedded({ tiny: {} }, { auto_pull: 'if_alone' })
    await until(async () => Object.keys(await on.slots()).length === 1)
  })

  test('keeps as many models in memory as allowed', async () => {
    await using on = await startEmbedded({ one: {}, two: {}, three: {} }, { max_loaded: 2 })
    for (const name of ['one', 'two', 'three', 'one']) {
      const reply = await on.ask<ChatReply>('chat/completions', { model: `llama-cpp/${name}`, messages: helloMessages })
      expect(reply.choices[0]?.message.content).toBe('Hi, you.')
    }
    expect(Object.keys(await on.slots()).toSorted()).toEqual(['one', 'three'])
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
