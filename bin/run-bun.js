import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { findBun } from './find-bun.js'

/** Environment that Bun reads when it starts: its default limit of concurrent outgoing requests is 256. */
const settings = { BUN_CONFIG_MAX_HTTP_REQUESTS: '65336', DO_NOT_TRACK: '1' }

/** Starts Bun in the place of this process: same terminal, signals handed on, exit code handed back. */
export function runBun(args) {
  let bun
  try {
    bun = findBun()
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
  // Before the child exists: the default action would end this process alone and leave the child behind.
  let child
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) {
    if (signal in constants.signals) process.on(signal, () => child.kill(signal))
  }
  // A launcher that is killed with -9 forwards nothing: with its id the server watches it and leaves no orphan.
  const launcher = { CORRAL_LAUNCHER: String(process.pid) }
  child = spawn(bun, args, { stdio: 'inherit', env: { ...settings, ...process.env, ...launcher } })
  child.on('error', (error) => {
    console.error(`Corral could not start Bun at ${bun}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)))
}
