import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { mockUpstream, modelsReply, type MockRequest, type MockUpstream, type Script } from '../../src/testing/index.ts'

const launcher = new URL('../../bin/corral.js', import.meta.url).pathname

export interface ProgramOptions {
  /** The `server:` section, as a file has it. */
  server?: object
  /** The `storage:` section. */
  storage?: object
  /** The `telemetry:` section. */
  telemetry?: object
  /** The base URL of an upstream in OpenAI's format; its provider is called `mock`. */
  upstream?: string
  /** Entries of `providers.inference`, as a file has them. */
  providers?: readonly object[]
  /** Further words of the command line. */
  flags?: readonly string[]
  /** Default: a free one. */
  port?: number
  env?: Record<string, string>
  /** What goes before the command line, for a program that runs within another. */
  within?: readonly string[]
}

/** A line of the log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: string }

/** Corral as a user starts it: `node bin/corral.js run FILE`, in a process of its own. */
export class Program implements AsyncDisposable {
  /** Where it serves, e.g. `http://127.0.0.1:43121`; empty before `started`. */
  url = ''
  readonly exited: Promise<number | null>
  /** Its home. The configuration is `run.yaml` in it. */
  readonly folder = mkdtempSync(join(tmpdir(), 'corral-whole-'))
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #watchers = new Set<() => void>()
  #stdout = ''
  #stderr = ''
  #gone = false

  constructor({ server = {}, storage, telemetry, upstream, providers = [], flags = [], port = 0, env = {}, within = [] }: ProgramOptions) {
    const file = join(this.folder, 'run.yaml')
    const config = { base_url: upstream, api_key: 'key-of-the-operator' }
    const mock = upstream ? [{ provider_id: 'mock', provider_type: 'remote::openai-compatible', config }] : []
    const inference = [...mock, ...providers]
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({ version: 2, distro_name: 'whole', apis: ['inference'], providers: { inference }, server, storage, telemetry }),
    )
    const words = [...within, process.env.CORRAL_TEST_NODE ?? 'node', launcher, 'run', file, '--port', String(port), ...flags]
    this.#child = spawn(words[0] ?? '', words.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own, as a terminal gives one.
      detached: true,
      env: { ...process.env, CORRAL_HOME: this.folder, ...env },
    })
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code) => {
        this.#gone = true
        resolve(code)
        this.#changed()
      })
    })
    this.#child.stdout.on('data', (data: Buffer) => {
      this.#stdout += data.toString()
      this.#changed()
    })
    this.#child.stderr.on('data', (data: Buffer) => {
      this.#stderr += data.toString()
      this.#changed()
    })
  }

  /** Resolves once it has printed its address. */
  async started(): Promise<this> {
    await this.until(() => /Corral serves \S+/.test(this.#stdout))
    this.url = /Corral serves (\S+)/.exec(this.#stdout)?.[1] ?? ''
    return this
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Everything it wrote. */
  get output(): string {
    return this.#stdout + this.#stderr
  }

  /** Its log, line by line; what is no JSON is left out. */
  get log(): LogLine[] {
    return this.#stderr.split('\n').flatMap((line) => {
      if (!line.startsWith('{') || !line.endsWith('}')) return []
      return [JSON.parse(line) as LogLine]
    })
  }

  /** Resolves with the first log line that fits. */
  async logged(fits: (line: LogLine) => boolean): Promise<LogLine> {
    await this.until(() => this.log.some(fits))
    return this.log.find(fits) as LogLine
  }

  /** Resolves once it is so; looked at whenever something was written. */
  async until(so: () => boolean): Promise<void> {
    while (!so()) {
      if (this.#gone) throw new Error(`Corral ended before that; it wrote:\n${this.output}`)
      await new Promise<void>((resolve) => this.#watchers.add(resolve))
    }
  }

  /** Sends a signal to the program the user started: the launcher. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** As Ctrl+C does: to the launcher and everything below it. */
  signalAll(name: NodeJS.Signals): void {
    process.kill(-this.pid, name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#gone) {
      this.#child.kill('SIGTERM')
      const hard = setTimeout(() => this.signalAll('SIGKILL'), 15_000)
      await this.exited
      clearTimeout(hard)
    }
    rmSync(this.folder, { recursive: true, force: true })
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
    this.#watchers.clear()
  }
}

export async function startProgram(options: ProgramOptions = {}): Promise<Program> {
  const program = new Program(options)
  try {
    await program.started()
    // Until the first response of its provider, a model is 503.
    if (options.upstream) await program.logged(({ msg }) => msg === 'models listed')
    return program
  } catch (error) {
    await program[Symbol.asyncDispose]()
    throw error
  }
}

/** An upstream that lists `some-model` and responds to everything else with `answer`. */
export async function upstreamThat(response: (request: MockRequest) => Script): Promise<MockUpstream> {
  const upstream = await mockUpstream()
  upstream.respond((request) => (request.path.endsWith('/models') ? modelsReply(['some-model']) : response(request)))
  return upstream
}

/** What a test asks for: a chat with the upstream's model. */
export function askForChat(
  url: string,
  over: object = {},
  init: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
    body: JSON.stringify({ model: 'mock/some-model', messages: [{ role: 'user', content: 'Hello' }], ...over }),
  })
}

/** True while a process with that id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Resolves once none of the processes exists. The test's own time limit is the only one. */
export async function gone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 50))
}
