import { wantsColour } from '../telemetry/colour.ts'
import type { Output } from './command.ts'

/** The part of `process.stdout` that is needed. */
export interface Sink {
  write(text: string, done?: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface TerminalOutput extends Output {
  /** Resolves when everything written has left this process or its reader is gone. */
  drained(): Promise<void>
}

type Env = Readonly<Record<string, string | undefined>>

export function createOutput(sink: Sink, env: Env): TerminalOutput {
  const isTerminal = sink.isTTY === true
  const colour = wantsColour(env, isTerminal)
  let readerGone = false
  // A reader that leaves early (`corral list providers | head`) is no failure: the rest is dropped.
  sink.on('error', () => (readerGone = true))
  const style = (on: number, off: number) => (text: string) => (colour ? `\u001B[${on}m${text}\u001B[${off}m` : text)
  return {
    isTerminal,
    get columns() {
      return sink.columns ?? 80
    },
    write(text) {
      if (!readerGone) sink.write(text)
    },
    async drained() {
      if (readerGone) return
      await new Promise<void>((resolve) => {
        sink.on('error', () => resolve())
        sink.write('', () => resolve())
      })
    },
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    green: style(32, 39),
    yellow: style(33, 39),
    cyan: style(36, 39),
  }
}
