import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const folder = import.meta.dirname
const program = join(folder, '.cache', 'native')

/** The server under test has core 0 for itself; the mock upstream and the load share core 1. */
export const serverCore = '0'
export const loadCore = '1'

/** How an upstream fails. */
export type Failure = 'e401' | 'e429' | 'e500' | 'reset' | 'cut'

export type Pattern = 'plain' | 'burst' | 'paced' | 'hold' | 'flood' | 'long' | Failure

export interface LoadPlan {
  readonly url: string
  readonly pattern: Pattern
  readonly model: string
  readonly headers?: readonly string[]
  readonly concurrency: number
  readonly seconds: number
  /** Requests a second at fixed times; absent: as fast as responses arrive. */
  readonly rate?: number
  /** One request a connection, begun spread over `seconds`. */
  readonly once?: boolean
  /** Nothing of the responses is read: each connection holds one for `seconds`. */
  readonly unread?: boolean
}

export interface LoadResult {
  readonly requests: number
  readonly errors: number
  readonly error?: string
  readonly frames: number
  readonly seconds: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly first_p50_ms: number
  readonly first_p99_ms: number
}

/** Builds the mock and the load generator; throws an Error that says what is missing. */
export function buildNative(): string {
  mkdirSync(join(folder, '.cache'), { recursive: true })
  try {
    execFileSync('go', ['build', '-o', program, '.'], { cwd: join(folder, 'native'), stdio: ['ignore', 'ignore', 'pipe'] })
    return execFileSync('go', ['version'], { encoding: 'utf8' }).trim()
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const why = missing ? 'Go is not installed (https://go.dev/dl, 1.21 or later)' : String((error as { stderr?: unknown }).stderr ?? error)
    throw new Error(`The bench needs its native mock upstream and load generator, which are written in Go: ${why}`, { cause: error })
  }
}

export interface Mock {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  stop(): void
}

export async function startMock(): Promise<Mock> {
  const child = pinned(loadCore, [program, 'mock'], { GOMAXPROCS: '1' })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (line: Buffer) => resolve(line.toString().trim()))
    child.once('exit', (code) => reject(new Error(`the mock upstream ended with ${code}`)))
  })
  return { url, stop: () => void child.kill('SIGKILL') }
}

export async function load(plan: LoadPlan): Promise<LoadResult> {
  const flags = {
    url: plan.url,
    pattern: plan.pattern,
    model: plan.model,
    headers: plan.headers?.join('\n') ?? '',
    concurrency: plan.concurrency,
    seconds: plan.seconds,
    rate: plan.rate ?? 0,
    once: plan.once ?? false,
    unread: plan.unread ?? false,
  }
  const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
  return JSON.parse(await output(loadCore, [program, 'load', ...args])) as LoadResult
}

interface ColdStart {
  readonly command: readonly string[]
  readonly env: Record<string, string>
  /** What to GET. */
  readonly path: string
}

/** Milliseconds from the start of a command (on the server's core) to its first 200 at `address`. */
export async function coldStart(address: string, { command, env, path }: ColdStart): Promise<number> {
  const started = onCore(serverCore, command)
  const args = ['cold', `-address=${address}`, `-path=${path}`, ...started]
  return (JSON.parse(await output(loadCore, [program, ...args], env)) as { ms: number }).ms
}

/** The words that put a program on one core and let it die with the bench, however that ends. Each execs the next: the process is the program's own. */
export function onCore(core: string, command: readonly string[]): string[] {
  return ['setpriv', '--pdeathsig', 'KILL', 'taskset', '-c', core, ...command]
}

/** Starts a program on one core; its standard error is kept for when it fails. */
function pinned(core: string, command: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const [first = '', ...words] = onCore(core, command)
  return spawn(first, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
}

async function output(core: string, command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const child = pinned(core, command, { GOMAXPROCS: '1', ...env })
  let text = ''
  let errors = ''
  child.stdout?.on('data', (bytes: Buffer) => (text += bytes.toString()))
  child.stderr?.on('data', (bytes: Buffer) => (errors += bytes.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${command.slice(0, 2).join(' ')} ended with ${code}: ${errors.slice(0, 500)}`)
  return text
}
