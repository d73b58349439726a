import { spawn } from 'node:child_process'
import { createServer } from 'node:net'

/** A program that runs until it is disposed of, or until this process is gone, however it ends. */
export interface Service extends AsyncDisposable {
  /** What it wrote on stderr and stdout so far. */
  readonly output: string
  /** Undefined while it runs. */
  readonly exitCode: number | undefined
}

interface ServiceOptions {
  readonly command: readonly string[]
  /** The signal on which it ends at once and cleanly. */
  readonly stop: 'TERM' | 'INT' | 'QUIT'
  /** Removed once the program has ended. */
  readonly folder: string
  readonly owner?: Owner | undefined
}

/** A user of the system. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Ends the program when its parent is gone (arguments: the parent's process id, signal, folder, command). */
const guard = `
parent=$1; signal=$2; folder=$3; shift 3
"$@" & child=$!
trap 'kill -s "$signal" "$child" 2>/dev/null' TERM INT HUP
while [ -d "/proc/$parent" ] && kill -0 "$child" 2>/dev/null; do sleep 0.2; done
kill -s "$signal" "$child" 2>/dev/null
wait "$child"; code=$?
rm -rf "$folder"
exit "$code"
`

export function startService({ command, stop, folder, owner }: ServiceOptions): Service {
  const child = spawn('/bin/sh', ['-c', guard, 'guard', String(process.pid), stop, folder, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
    detached: true,
    ...owner,
  })
  const decoder = new TextDecoder()
  let output = ''
  let exitCode: number | undefined
  const ended = Promise.withResolvers<void>()
  const keep = (piece: Uint8Array) => (output = (output + decoder.decode(piece, { stream: true })).slice(-20_000))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.on('close', (code) => {
    exitCode = code ?? 1
    ended.resolve()
  })
  return {
    get output() {
      return output
    },
    get exitCode() {
      return exitCode
    },
    async [Symbol.asyncDispose]() {
      if (exitCode === undefined) child.kill('SIGTERM')
      await ended.promise
    },
  }
}

/** A port of loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('this machine has no loopback address')
  return address.port
}

/** Waits until `answers` does not throw. Throws the service's output if it ends first or takes more than 30 s. */
export async function untilReady(name: string, service: Service, responds: () => Promise<unknown>): Promise<void> {
  const giveUp = Date.now() + 30_000
  for (;;) {
    try {
      await responds()
      return
    } catch (error) {
      if (service.exitCode !== undefined) throw new Error(`${name} has ended:\n${service.output}`, { cause: error })
      if (Date.now() > giveUp) throw new Error(`${name} does not answer:\n${service.output}`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
