import { wantsColour } from '../telemetry/colour.ts'
import type { CommandOutput } from './command.ts'

/** The part of `process.stdout` that is needed. */
export interface TerminalStream {
  write(text: string, done: (error?: Error | null) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface TerminalOutput extends CommandOutput {
  /** Why something could not be written. Absent: all was, or the reader closed the pipe. */
  readonly failure: Error | undefined
  /** Resolves when everything written has left this process, or can no longer leave it. */
  drained(): Promise<void>
}

type TerminalEnvironment = Readonly<Record<string, string | undefined>>

export function createOutput(stream: TerminalStream, env: TerminalEnvironment): TerminalOutput {
  const isTerminal = stream.isTTY === true
  const colour = wantsColour(env, isTerminal)
  let hasWritten = false
  let readerGone = false
  let failure: Error | undefined
  let pending = 0
  let waiting: (() => void)[] = []
  const settle = () => {
    for (const resolve of waiting) resolve()
    waiting = []
  }
  const onError = (error: Error) => {
    // A reader that closes early (`corral list providers | head`) is not a failure: the rest is dropped.
    if ('code' in error && error.code === 'EPIPE') readerGone = true
    else failure ??= error
  }
  // The stream is destroyed then: nothing that is still queued leaves it.
  stream.on('error', (error) => {
    onError(error)
    settle()
  })
  // Counted by write: Bun calls back for an empty write at once, even while earlier writes are queued.
  const onWritten = (error?: Error | null) => {
    if (error) onError(error)
    pending--
    if (pending === 0) settle()
  }
  const style = (on: number, off: number) => (text: string) => (colour ? `\u001B[${on}m${text}\u001B[${off}m` : text)
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? 80
    },
    get hasWritten() {
      return hasWritten
    },
    get readerGone() {
      return readerGone
    },
    get failure() {
      return failure
    },
    write(text) {
      if (text === '' || readerGone || failure) return
      hasWritten = true
      pending++
      stream.write(text, onWritten)
    },
    async drained() {
      if (pending > 0 && !readerGone && !failure) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    green: style(32, 39),
    yellow: style(33, 39),
    cyan: style(36, 39),
  }
}
