import { commands } from './cli/commands.ts'
import { runToExit } from './cli/exit.ts'
import { createOutput } from './cli/terminal.ts'
import { workerVariable } from './runtime/parent.ts'
import { listenForStop, signalExitCodes } from './runtime/stop-signals.ts'

const isWorker = process.env[workerVariable] !== undefined
const interrupt = new AbortController()
// From here to the end of the process: a signal at any moment of start-up is either handled or has its default action, never lost.
listenForStop(['SIGINT', 'SIGTERM'], {
  first: (signal) => interrupt.abort(signal),
  // A worker is ended by its supervisor, which knows how long it may take.
  again: (signal) => isWorker || process.exit(signalExitCodes[signal]),
})

const env = { ...process.env }
// Bun's fetch applies them to proxies that a request names, too, and has no option against it; `env` keeps them.
delete process.env['NO_PROXY']
delete process.env['no_proxy']

const stdout = createOutput(process.stdout, env)
const stderr = createOutput(process.stderr, env)
const context = { env, stdout, stderr, cwd: process.cwd(), signal: interrupt.signal }

// What still holds the loop open (a kept-alive connection, a timer) does not delay the exit.
process.exit(await runToExit(commands, process.argv.slice(2), context))
