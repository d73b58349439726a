import { type CommandContext } from './cli/command.ts'
import { commands } from './cli/commands.ts'
import { runProgram } from './cli/program.ts'
import { createOutput } from './cli/terminal.ts'

const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupt.abort(signal))
}

const stdout = createOutput(process.stdout, process.env)
const stderr = createOutput(process.stderr, process.env)
const context: CommandContext = { env: process.env, stdout, stderr, cwd: process.cwd(), signal: interrupt.signal }

const exitCode = await runProgram(commands, process.argv.slice(2), context)
await Promise.all([stdout.drained(), stderr.drained()])
// Whatever still holds the loop open (a kept-alive connection, a timer) has no say once the command is done.
process.exit(exitCode)
