import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { findBun } from './find-bun.js'

/** What must stand in the environment before Bun starts: its cap on outgoing requests at once is 256 unless told otherwise. */
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
  // A server whose launcher is killed with -9 hears nothing of it: told the launcher's id, it looks by itself and leaves no orphan.
  const launcher = { CORRAL_LAUNCHER: String(process.pid) }
  const child = spawn(bun, args, { stdio: 'inherit', env: { ...settings, ...process.env, ...launcher } })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) {
    if (signal in constants.signals) process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => {
    console.error(`Corral could not start Bun at ${bun}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)))
}
