import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'

/** Another process at the same database (`other-process.ts`); killed when it is disposed of. */
interface OtherProcess extends AsyncDisposable {
  /** Whole lines that it has printed. */
  readonly lines: readonly string[]
  readonly exited: Promise<{ code: number | null; stderr: string }>
  /** Resolves once it has printed so many lines. Rejects when it ends before. */
  said(count: number): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

export function otherProcess(
  what: 'open' | 'write' | 'add' | 'count' | 'hold' | 'bump',
  backend: SqliteBackend | PostgresBackend,
): OtherProcess {
  const secret = backend.engine === 'postgres' ? backend.password?.reveal() : undefined
  const reported = JSON.stringify({ ...backend, password: undefined, secret })
  const child = spawn(process.execPath, [join(import.meta.dir, 'other-process.ts'), what, reported], { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const waiting: { count: number; resolve(): void; reject(error: Error): void }[] = []
  let rest = ''
  let stderr = ''
  const decoder = new TextDecoder()
  child.stdout.on('data', (piece: Uint8Array) => {
    const whole = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = whole.pop() ?? ''
    lines.push(...whole)
    for (const one of waiting) if (lines.length >= one.count) one.resolve()
  })
  child.stderr.on('data', (piece: Uint8Array) => (stderr += new TextDecoder().decode(piece)))
  const exited = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.on('close', (code) => {
      for (const one of waiting) one.reject(new Error(`it has ended (${code}): ${stderr}`))
      resolve({ code, stderr })
    })
  })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return {
    lines,
    exited,
    said: (count) =>
      new Promise((resolve, reject) => {
        if (lines.length >= count) resolve()
        else waiting.push({ count, resolve, reject })
      }),
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

/** Waits until `holds`; gives up after 20 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > giveUp) throw new Error('it did not come about within 20 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
