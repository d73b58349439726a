import { spawn } from 'node:child_process'
import { describe, expect, test } from 'bun:test'
import { openSync } from 'node:fs'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { array, assert, asyncProperty, constantFrom } from 'fast-check'
import { commands } from '../../src/cli/commands.ts'
import { runToExit } from '../../src/cli/exit.ts'
import { createOutput, type TerminalStream } from '../../src/cli/terminal.ts'
import { inProcess, temporaryFolder } from './corral.ts'

const launcher = new URL('../../bin/corral.js', import.meta.url).pathname

/** A pipe as the pinned Bun has it: an empty write calls back at once, any other when its bytes were read, which `read` lets happen. */
class SlowPipe implements TerminalStream {
  readonly isTTY = false
  text = ''
  #queued: { text: string; done: (error?: Error) => void }[] = []
  #wrote = Promise.withResolvers<void>()

  write(text: string, done: (error?: Error) => void): void {
    if (text === '') done()
    else {
      this.#queued.push({ text, done })
      this.#wrote.resolve()
    }
  }

  on(): void {}

  /** Resolves once something waits to be read. */
  get written(): Promise<void> {
    return this.#wrote.promise
  }

  read(count = Infinity): void {
    for (const { text, done } of this.#queued.splice(0, count)) {
      this.text += text
      done()
    }
  }
}

/** Runs a command whose output is not read until `release`. */
function unread(words: readonly string[], env: Record<string, string>, cwd: string) {
  const [out, err] = [new SlowPipe(), new SlowPipe()]
  const signal = new AbortController().signal
  const context = { env, cwd, signal, stdout: createOutput(out, env), stderr: createOutput(err, env) }
  let ended = false
  const exit = runToExit(commands, words, context).then((code) => ((ended = true), code))
  return { out, err, exit, hasEnded: () => ended }
}

const textOf = (stream: ReadableStream<Uint8Array>): Promise<string> => new Response(stream).text()

const coded = (code: string): Error => Object.assign(new Error(code), { code })

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('output', () => {
  const lists = [
    'list providers',
    'list apis --json',
    'list distros',
    'models list',
    'keys list --json',
    'audit list --json',
    'audit verify --json',
    'traces list --json',
    'usage --json',
    'storage status',
    'config show',
    'config schema',
    'config validate --json',
    'policy explain --help',
    'doctor --json',
    'help',
  ]

  test.each(lists)('[PRO-2] `corral %s` does not exit before its output is read', async (line) => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'run.yaml')
    await writeFile(
      file,
      `version: 2\nproviders: {}\nserver:\n  port: 0\n  auth: { provider_config: { type: api_key } }\n  audit: { path: ${join(folder.path, 'audit')} }\n`,
    )
    const env = { HOME: folder.path, CORRAL_HOME: folder.path, CORRAL_CONFIG: file }
    const expected = await inProcess(line.split(' '), { env, cwd: folder.path })
    const { out, err, exit, hasEnded } = unread(line.split(' '), env, folder.path)
    await Promise.race([out.written, err.written])
    await turns()
    expect(hasEnded()).toBe(false)
    // Whatever comes later is read as well.
    const reading = setInterval(() => (out.read(1), err.read(1)), 1)
    expect(await exit).toBe(expected.code as never)
    clearInterval(reading)
    expect(out.text.length).toBe(expected.stdout.length)
  })

  test('[PRO-2] a real pipe gets every byte, a few at a time', async () => {
    using folder = temporaryFolder()
    const fifo = join(folder.path, 'pipe')
    expect(Bun.spawnSync(['mkfifo', fifo]).exitCode).toBe(0)
    const child = spawn('sh', ['-c', `exec node ${launcher} config schema > ${fifo}`], { stdio: 'ignore' })
    const exited = new Promise((resolve) => child.on('exit', resolve))
    let text = ''
    const decoder = new TextDecoder()
    for await (const bytes of Bun.file(openSync(fifo, 'r')).stream()) {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      text += decoder.decode(bytes, { stream: true })
    }
    expect(await exited).toBe(0)
    expect(text.length).toBe((await inProcess(['config', 'schema'])).stdout.length)
  })

  const linux = process.platform === 'linux'
  test.if(linux)('a reader that closes the pipe ends a command quietly; a full disk is exit code 1', async () => {
    const words = `node ${launcher} config schema`
    const closed = Bun.spawn(['sh', '-c', `{ ${words}; echo "code $?" >&2; } | head -c 10`], { stdout: 'pipe', stderr: 'pipe' })
    expect([await textOf(closed.stdout), await textOf(closed.stderr)]).toEqual([expect.stringMatching(/^\{\s/), 'code 0\n'])
    const full = Bun.spawn(['sh', '-c', `${words} > /dev/full`], { stderr: 'pipe' })
    expect(await textOf(full.stderr)).toMatch(/^error: The output could not be written: ENOSPC\b[^\n]*\n$/)
    expect(await full.exited).toBe(1)
  })

  test('drained resolves after the last of any writes, whichever fail', async () => {
    const results = array(constantFrom('now', 'later', 'EPIPE', 'EIO'), { maxLength: 8 })
    await assert(
      asyncProperty(results, async (writes) => {
        const later: (() => void)[] = []
        const sink: TerminalStream = {
          on: () => undefined,
          write: (text, done) => {
            if (text === 'now') done()
            else later.push(() => done(text === 'later' ? undefined : coded(text)))
          },
        }
        const output = createOutput(sink, {})
        for (const write of writes) output.write(write)
        let drained = false
        const draining = output.drained().then(() => (drained = true))
        for (const finish of later) {
          await Promise.resolve()
          expect(drained).toBe(false)
          finish()
        }
        await draining
        expect(output.failure?.message).toBe(writes.includes('EIO') ? 'EIO' : undefined)
        expect(output.readerGone).toBe(writes.includes('EPIPE'))
      }),
      { numRuns: 50 },
    )
  })

  test('`corral traces tail` ends when its reader has gone', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'run.yaml')
    await appendFile(file, 'version: 2\nproviders: {}\ntelemetry: { store: { enabled: true } }\n')
    const env = { HOME: folder.path, CORRAL_HOME: folder.path, CORRAL_CONFIG: file }
    const gone: TerminalStream = { on: (_, listener) => listener(coded('EPIPE')), write: () => undefined }
    const signal = new AbortController().signal
    const context = { env, cwd: folder.path, signal, stdout: createOutput(gone, env), stderr: createOutput(new SlowPipe(), env) }
    context.stderr.write = () => undefined
    expect(await runToExit(commands, ['traces', 'tail'], context)).toBe(0)
  })
})
