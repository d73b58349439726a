/** Set by the launcher (bin/corral.js) to its own process id. */
export const launcherVariable = 'CORRAL_LAUNCHER'

/** Set in workers: `INDEX/PORT`. */
export const workerVariable = 'CORRAL_WORKER'

/** Milliseconds between two looks. */
const interval = 500

/**
 * Calls `listener` once when a process (the launcher) is gone: killed with -9 it takes no other process with it, so those that belong to it check. One that
 * is not the parent of this process counts as alive until its own parent has collected its exit code.
 */
export function onProcessExit(pid: number, listener: () => void): Disposable {
  const isParent = process.ppid === pid
  const timer = setInterval(() => {
    if ((!isParent || process.ppid === pid) && isAlive(pid)) return
    clearInterval(timer)
    listener()
  }, interval)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Windows keeps reporting the id of a parent that is gone. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
