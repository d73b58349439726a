import type { Command, CommandContext, ExitCode } from './command.ts'
import { runProgram } from './program.ts'
import type { TerminalOutput } from './terminal.ts'
import { whenAborted } from '../runtime/stop-signals.ts'
import { sleep } from '../timing.ts'

/** Milliseconds that output gets to leave an interrupted program: its reader may have stopped reading. */
const flushTimeout = 1000

interface ProgramContext extends CommandContext {
  readonly stdout: TerminalOutput
  readonly stderr: TerminalOutput
}

/**
 * Runs one command line and resolves with the exit code once the last byte of its output has been written, however slow its reader is.
 * Output that cannot be written turns a success into exit code 1; a reader that closed the pipe does not. Never rejects.
 */
export async function runToExit(commands: readonly Command[], words: readonly string[], context: ProgramContext): Promise<ExitCode> {
  const { stdout, stderr, signal } = context
  const code = await runProgram(commands, words, context)
  const interrupted = whenAborted(signal).then(() => sleep(flushTimeout))
  await Promise.race([Promise.all([stdout.drained(), stderr.drained()]), interrupted])
  const failure = stdout.failure ?? stderr.failure
  if (!failure || signal.aborted) return code
  stderr.write(`${stderr.red('error:')} The output could not be written: ${failure.message}\n`)
  await Promise.race([stderr.drained(), interrupted])
  return code === 0 ? 1 : code
}
