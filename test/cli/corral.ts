import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commands } from '../../src/cli/commands.ts'
import type { CommandContext, CommandOutput } from '../../src/cli/command.ts'
import { runProgram } from '../../src/cli/program.ts'

const launcher = new URL('../../bin/corral.js', import.meta.url).pathname

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  readonly cwd?: string
  /** Over a bare environment: no provider's key of the machine that runs the tests. */
  readonly env?: Readonly<Record<string, string>>
  /** Called before each piece of output (`inProcess`). */
  readonly onOutput?: () => void
}

/** Runs a command line as a user does, in a process of its own, to its end. */
export async function corral(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  const child = start(words, surroundings)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, stdout, stderr }
}

/** Starts a command line as a user does, without waiting for it. */
export function start(words: readonly string[], { cwd, env }: Surroundings = {}) {
  const bare = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' }
  return spawn('node', [launcher, ...words], { cwd, env: { ...bare, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Runs a command line in this process. */
export async function inProcess(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  const { cwd = process.cwd(), env = {}, onOutput } = surroundings
  const [stdout, stderr] = [collecting(onOutput), collecting(onOutput)]
  const context: CommandContext = { env, cwd, stdout, stderr, signal: new AbortController().signal }
  const code = await runProgram(commands, words, context)
  return { code, stdout: stdout.text, stderr: stderr.text }
}

const plain = (text: string): string => text

function collecting(onOutput?: () => void): CommandOutput & { text: string } {
  return {
    text: '',
    write(text) {
      onOutput?.()
      this.text += text
    },
    isTerminal: false,
    columns: 80,
    get hasWritten() {
      return this.text !== ''
    },
    readerGone: false,
    bold: plain,
    dim: plain,
    red: plain,
    green: plain,
    yellow: plain,
    cyan: plain,
  }
}

/** A folder of its own that is gone after the test. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'corral-cli-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
