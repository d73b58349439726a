/** Set by the launcher (bin/corral.js) to its own process id. */
export const launcherVariable = 'CORRAL_LAUNCHER'

/** Set in workers: `INDEX/PORT`. */
export const workerVariable = 'CORRAL_WORKER'

/** Milliseconds between two looks. */
const interval = 500

/**
 * Calls `listener` once when the process that started this one is gone: killed with -9 it takes nothing with it, so its children look.
 * Meant for children whose parent is a program (the launcher, the supervisor), not a shell.
 */
export function whenParentDies(listener: () => void): Disposable {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent && isAlive(parent)) return
    clearInterval(timer)
    listener()
  }, interval)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Windows keeps reporting the id of a parent that is gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
