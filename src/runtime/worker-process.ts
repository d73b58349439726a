import { spawn } from 'node:child_process'

/** The message of a worker to its supervisor. */
export interface WorkerMessage {
  readonly corral: 'listening'
  readonly urls: readonly string[]
  readonly port: number
}

export interface WorkerProcess {
  readonly pid: number
  /** Resolves when it listens; never when it dies before. */
  readonly listening: Promise<WorkerMessage>
  /** Resolves when it is gone. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
  kill(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): void
  /** What else the two have to say to one another. */
  readonly channel: MessageChannel
}

/** One end of the pipe between the two. */
interface MessageChannel {
  /** JSON. Does nothing if the other end is closed. */
  send(message: object): void
  listen(listener: (message: unknown) => void): void
}

/** Starts this very program once more, with the same arguments, output and environment, and `env` on top. */
export function startWorker(env: Readonly<Record<string, string | undefined>>): WorkerProcess {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env,
  })
  const listening = Promise.withResolvers<WorkerMessage>()
  const exited = Promise.withResolvers<{ code: number | null; signal: string | null }>()
  child.on('message', (message) => {
    if (isWorkerMessage(message)) listening.resolve(message)
  })
  child.on('error', () => exited.resolve({ code: null, signal: null }))
  child.on('exit', (code, signal) => exited.resolve({ code, signal }))
  return {
    pid: child.pid ?? 0,
    listening: listening.promise,
    exited: exited.promise,
    kill: (signal) => void child.kill(signal),
    channel: {
      // Without the callback a pipe that breaks meanwhile would be an error of the whole process.
      send: (message) => void (child.connected && child.send(message, () => undefined)),
      listen: (listener) => void child.on('message', listener),
    },
  }
}

/** For a worker: sends a message to its supervisor, if that still runs. */
export function notifySupervisor(message: WorkerMessage): void {
  if (process.connected) process.send?.(message)
}

/** For a worker: its end of the pipe. */
export function supervisorChannel(): MessageChannel {
  return {
    send: (message) => void (process.connected && process.send?.(message)),
    listen: (listener) => void process.on('message', listener),
  }
}

/** For a worker: resolves when its supervisor is gone, however that ended; at once where it already is. */
export function whenSupervisorExits(): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) resolve()
    else process.once('disconnect', () => resolve())
  })
}

function isWorkerMessage(message: unknown): message is WorkerMessage {
  return typeof message === 'object' && message !== null && 'corral' in message && message.corral === 'listening'
}
