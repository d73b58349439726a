import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'

/** A process that runs jobs (`job-worker.ts`); killed when it is disposed of. */
export interface Worker extends AsyncDisposable {
  /** Whole lines that it has printed. */
  readonly lines: readonly string[]
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void
  readonly exited: Promise<number | null>
  /** SIGKILL. */
  kill(): Promise<void>
}

/** @param lease milliseconds */
export function startWorker(backend: SqliteBackend | PostgresBackend, lease: number): Worker {
  const secret = backend.engine === 'postgres' ? backend.password?.reveal() : undefined
  const argument = JSON.stringify({ ...backend, password: undefined, secret })
  const script = join(import.meta.dir, 'job-worker.ts')
  const child = spawn(process.execPath, [script, argument, String(lease)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  let rest = ''
  const decoder = new TextDecoder()
  child.stdout.on('data', (piece: Uint8Array) => {
    const whole = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = whole.pop() ?? ''
    lines.push(...whole)
  })
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  const kill = async (): Promise<void> => {
    // A stopped process dies of SIGKILL as well.
    child.kill('SIGKILL')
    await exited
  }
  return { lines, signal: (name) => void child.kill(name), exited, kill, [Symbol.asyncDispose]: kill }
}
