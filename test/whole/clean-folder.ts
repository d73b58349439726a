import { spawn, type SpawnOptions } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An empty folder that any user may read; removed when disposed. */
export class CleanFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'corral-clean-'))

  constructor() {
    chmodSync(this.path, 0o755)
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

interface CommandResult {
  readonly code: number | null
  readonly output: string
}

/** Runs a command to its end; standard output and error are one text. */
export async function runCommand(command: string, args: readonly string[], options: SpawnOptions): Promise<CommandResult> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout?.on('data', (piece: Uint8Array) => (output += new TextDecoder().decode(piece)))
  child.stderr?.on('data', (piece: Uint8Array) => (output += new TextDecoder().decode(piece)))
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.on('error', reject)
  child.on('close', resolve)
  return { code: await promise, output }
}

/** Starts a server in a process group of its own and resolves with its address; `stop` ends the group with SIGTERM, as a terminal or `npx` does. */
export async function startServer(command: string, args: readonly string[], options: SpawnOptions) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  const url = await new Promise<string>((resolve, reject) => {
    const read = (piece: Uint8Array) => {
      output += new TextDecoder().decode(piece)
      const address = /Corral serves (http:\S+)/.exec(output)?.[1]
      if (address) resolve(address)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.on('error', reject)
    void exited.then((code) => reject(new Error(`The server ended with ${code}:\n${output}`)))
  })
  return {
    url,
    stop: () => {
      process.kill(-(child.pid ?? 0), 'SIGTERM')
      return exited
    },
  }
}

/** The sizes of all files below a folder; links are not followed, and a file with several names counts once. */
export function folderBytes(folder: string): number {
  const sizes = new Map<number, number>()
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const { ino, size } = statSync(join(entry.parentPath, entry.name))
    sizes.set(ino, size)
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
