import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorReply, mockUpstream, modelsReply, stallBeforeHead } from '../../src/testing/index.ts'
import { corral, start, type Surroundings, temporaryFolder } from './corral.ts'

interface Served extends AsyncDisposable {
  readonly url: string
  readonly firstLine: string
  /** Resolves with the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts a server and resolves once it has printed its address. */
async function serve(words: readonly string[], surroundings: Surroundings): Promise<Served> {
  const child = start([...words, '--port', '0'], surroundings)
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  let stdout = ''
  let stderr = ''
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
  const firstLine = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes.toString()
      if (stdout.includes('\n')) resolve(stdout.slice(0, stdout.indexOf('\n')))
    })
    child.on('close', (code) => reject(new Error(`corral ${words.join(' ')} ended with ${code}: ${stderr}`)))
  })
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  return {
    url: /http:\/\/[^\s"]+/.exec(firstLine)?.[0] ?? '',
    firstLine,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop('SIGTERM')),
  }
}

const chat = { model: 'groq/llama3-70b-8192', messages: [{ role: 'user', content: 'Hi' }] }
const refused = { error: { message: 'Invalid API Key', type: 'invalid_request_error', code: 'invalid_api_key' } }

describe('what `corral build` wrote, served by `corral run`', () => {
  for (const how of ['the environment', 'an edit of the file'] as const) {
    test(`a provider’s 401 reaches the caller as 401 with its message; the provider’s address comes from ${how}`, async () => {
      using folder = temporaryFolder()
      await using upstream = await mockUpstream()
      upstream.respond(({ headers }) => (headers.authorization === 'Bearer invalid-key' ? errorReply(401, refused) : modelsReply([])))
      const address = `${upstream.url}/openai/v1`
      const here = { cwd: folder.path, env: { HOME: folder.path, ...(how === 'the environment' && { GROQ_BASE_URL: address }) } }
      expect((await corral(['build', '--providers', 'inference=remote::groq'], here)).code).toBe(0)
      const file = join(folder.path, 'corral.yaml')
      if (how === 'an edit of the file') {
        writeFileSync(file, readFileSync(file, 'utf8').replace(/base_url: .*/, `base_url: ${address}`))
      }

      await using server = await serve(['run', 'corral.yaml'], here)
      for (const stream of [false, true]) {
        const response = await fetch(`${server.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-llamastack-provider-data': '{"groq_api_key":"invalid-key"}' },
          body: JSON.stringify({ ...chat, stream }),
        })
        expect(response.status).toBe(401)
        expect(await response.json()).toMatchObject({ error: { message: 'Invalid API Key', code: 'invalid_api_key' } })
      }
      const sent = upstream.requests.filter(({ path }) => path === '/openai/v1/chat/completions')
      expect(sent.map(({ json }) => (json as { model: string }).model)).toEqual(['llama3-70b-8192', 'llama3-70b-8192'])
    })
  }
})

describe('run', () => {
  test('[RUN-1] one line names the address, and the server responds there; SIGTERM and Ctrl+C end it cleanly', async () => {
    using folder = temporaryFolder()
    const here = { cwd: folder.path, env: { HOME: folder.path } }
    await corral(['build', '--providers', 'inference=remote::groq'], here)
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      await using server = await serve(['stack', 'run', 'corral.yaml'], here)
      expect(server.firstLine).toMatch(/^Corral serves http:\/\/127\.0\.0\.1:\d+ /)
      expect((await fetch(`${server.url}/v1/health`)).status).toBe(200)
      expect(await server.stop(signal)).toBe(0)
    }
  })

  test('for machines the address is a line of JSON', async () => {
    using folder = temporaryFolder()
    await using server = await serve(['run', '--providers', 'inference=remote::groq', '--json'], {
      cwd: folder.path,
      env: { HOME: folder.path },
    })
    const output = JSON.parse(server.firstLine) as Record<string, unknown>
    expect(output).toMatchObject({ url: server.url, providers: ['groq'] })
  })

  test('[RUN-2] a port that is taken is one clear line with the remedy, exit code 1', async () => {
    using folder = temporaryFolder()
    await using taken = await mockUpstream()
    const { port } = new URL(taken.url)
    const words = ['run', '--providers', 'inference=remote::groq', '--port', port]
    const { code, stdout, stderr } = await corral(words, { cwd: folder.path, env: { HOME: folder.path } })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(
      `error: Port ${port} on 127.0.0.1 is already in use.\nStop the program that uses it, or choose another port: --port`,
    )
  })

  test('an address for others without authentication is refused, and the line says what would allow it', async () => {
    const { code, stderr } = await corral(['run', '--providers', 'inference=remote::groq', '--host', '0.0.0.0', '--port', '0'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/error: .*host/)
    expect(stderr).toContain('allow_unauthenticated')
  })
})

describe('asking a running server', () => {
  test('health is 0 and names the providers, models lists them, both for machines too', async () => {
    using folder = temporaryFolder()
    await using upstream = await mockUpstream()
    upstream.respond(() => modelsReply(['llama3-70b-8192']))
    const env = { HOME: folder.path, GROQ_BASE_URL: upstream.url, GROQ_API_KEY: 'gsk_test' }
    await using server = await serve(['run', '--providers', 'inference=remote::groq'], { cwd: folder.path, env })
    await upstream.received(1)
    const health = await corral(['health', '--url', server.url])
    expect(health).toMatchObject({ code: 0, stderr: '' })
    expect(health.stdout).toMatch(/^http:\S+ is ready\n[^]*\ngroq +remote::groq/)
    expect(JSON.parse((await corral(['health', '--url', server.url, '--json'])).stdout)).toMatchObject({
      status: 'ready',
      ready: true,
      providers: [{ provider_id: 'groq' }],
    })
    // The port alone finds it too.
    const models = await corral(['list', 'models', '--json'], { env: { CORRAL_PORT: new URL(server.url).port } })
    expect(models.code).toBe(0)
    expect((JSON.parse(models.stdout) as { id: string }[]).map(({ id }) => id)).toEqual(['groq/llama3-70b-8192'])
  })

  test('without a server, one line says so and how to start one, exit code 1', async () => {
    const upstream = await mockUpstream()
    await upstream.refuse()
    const { code, stdout, stderr } = await corral(['health', '--url', upstream.url])
    const forMachines = await corral(['health', '--url', upstream.url, '--json'])
    await upstream[Symbol.asyncDispose]()
    expect(forMachines).toMatchObject({ code: 1, stderr: '' })
    expect(JSON.parse(forMachines.stdout)).toEqual({
      url: upstream.url,
      status: 'unreachable',
      ready: false,
      error: expect.stringMatching(/^Cannot reach a server at /),
      providers: [],
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^error: Cannot reach a server at \S+ \(.*\)\.\nStart one with `corral run`, or pass its address with --url\.\n$/,
    )
  })
})

test('Ctrl+C ends a command that waits, with exit code 130 and without a word about bugs', async () => {
  using folder = temporaryFolder()
  await using hub = await mockUpstream()
  hub.respond(() => stallBeforeHead)
  const words = ['models', 'pull', 'hf:owner/repo/file.gguf', '--dir', folder.path]
  const child = start(words, { cwd: folder.path, env: { HOME: folder.path, HF_ENDPOINT: hub.url } })
  let stderr = ''
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
  await hub.received(1)
  child.kill('SIGINT')
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(130)
  expect(stderr).not.toContain('bug')
})
