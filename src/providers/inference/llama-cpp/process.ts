import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ChildProcess, type Log, startChild } from '../../contract.ts'
import type { ModelChildOptions } from './child/serve.ts'
import type { HostOptions } from './child/host.ts'

export interface ModelProcessOptions extends HostOptions {
  log: Log
  /** Default: a Unix socket in a new folder that only this user may enter; on Windows loopback with a token. */
  socket?: string | undefined
  /** Milliseconds before the first restart after a crash; doubled up to half a minute while it goes on crashing. Default 200. */
  firstBackoff?: number
}

/** Where the process listens. */
export interface ModelAddress {
  /** `http://…/v1`. */
  baseUrl: string
  socket?: string | undefined
  token?: string | undefined
}

const maxBackoff = 30_000
/** A process that lived so many milliseconds was healthy: its end resets the count of crashes. */
const stableAfter = 60_000

/**
 * The process that holds the models. It is started when it is first needed and again after a crash; it ends with this one, however that ends.
 */
export class ModelProcess implements AsyncDisposable {
  readonly #options: ModelProcessOptions
  readonly #socket: string | undefined
  readonly #ownFolder: string | undefined
  readonly #token: string | undefined
  readonly #stopping = new AbortController()
  #child: ChildProcess | undefined
  #running: Promise<ModelAddress> | undefined
  #crashes = 0
  #starts = 0

  constructor(options: ModelProcessOptions) {
    this.#options = options
    if (process.platform === 'win32') this.#token = crypto.randomUUID()
    else {
      // Made when it is needed. Not to be guessed, and short: macOS allows a socket's path 103 characters.
      this.#ownFolder =
        options.socket === undefined ? join(tmpdir(), `corral-${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`) : undefined
      this.#socket = options.socket ?? join(this.#ownFolder!, 'models.sock')
    }
  }

  /** The socket that it listens on, or will; undefined on Windows. Known before the process starts. */
  get socket(): string | undefined {
    return this.#socket
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** How often it was started again after a crash. */
  get restarts(): number {
    return Math.max(0, this.#starts - 1)
  }

  /** Starts it where it does not run, and resolves when it listens. Rejects where it cannot be started. */
  ready(): Promise<ModelAddress> {
    if (this.#stopping.signal.aborted) return Promise.reject(new Error('The embedded model process was stopped.'))
    this.#running ??= this.#start()
    return this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    this.#child?.kill()
    await this.#child?.ended
    if (this.#ownFolder !== undefined) rmSync(this.#ownFolder, { recursive: true, force: true })
    else if (this.#socket !== undefined) rmSync(this.#socket, { force: true })
  }

  async #start(): Promise<ModelAddress> {
    if (this.#crashes > 0) {
      const wait = Math.min((this.#options.firstBackoff ?? 200) * 2 ** (this.#crashes - 1), maxBackoff)
      await sleep(wait, undefined, { signal: this.#stopping.signal })
    }
    this.#starts++
    if (this.#socket !== undefined) {
      mkdirSync(dirname(this.#socket), { recursive: true, mode: 0o700 })
      rmSync(this.#socket, { force: true })
    }
    const startedAt = performance.now()
    const child = startChild({
      script: fileURLToPath(new URL('child/main.ts', import.meta.url)),
      options: this.#childOptions(),
      onLine: (line) => this.#options.log.warn({ part: 'embedded model' }, line),
    })
    this.#child = child
    void this.#watch(child, startedAt)
    const port = await child.listening
    if (this.#socket === undefined) return { baseUrl: `http://127.0.0.1:${port}/v1`, token: this.#token }
    chmodSync(this.#socket, 0o600)
    return { baseUrl: 'http://embedded-model/v1', socket: this.#socket }
  }

  async #watch(child: ChildProcess, startedAt: number): Promise<void> {
    const reason = await child.ended
    if (this.#stopping.signal.aborted) return
    this.#crashes = performance.now() - startedAt > stableAfter ? 1 : this.#crashes + 1
    this.#options.log.error(
      { part: 'embedded model', crashes: this.#crashes },
      `The embedded model process exited: ${reason}. It is being restarted.`,
    )
    this.#running = this.#start()
    // The next request gets the failure; there may be none now.
    this.#running.catch(() => undefined)
  }

  #childOptions(): ModelChildOptions {
    const { modelsDir, slots, contextSize, queue, threads, maxLoaded, advice } = this.#options
    return {
      modelsDir,
      slots,
      contextSize,
      queue,
      threads,
      maxLoaded,
      advice,
      ...(this.#socket !== undefined && { socket: this.#socket }),
      ...(this.#ownFolder !== undefined && { ownFolder: this.#ownFolder }),
      ...(this.#token !== undefined && { token: this.#token }),
    }
  }
}
