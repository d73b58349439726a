import { open, readFile, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { PullError } from './pull-error.ts'

/** Milliseconds without a touch after which a lock is stale: its process died on another machine. */
const staleAfter = 60_000
const touchEvery = 10_000

/**
 * Holds the file at `path` as a sign to other processes that one model is being fetched. Throws PullError (`busy`) where another has it;
 * what a dead process left behind is taken over.
 */
export async function takeLock(path: string): Promise<AsyncDisposable> {
  for (let attempt = 0; ; attempt++) {
    try {
      const file = await open(path, 'wx')
      await file.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }))
      await file.close()
      break
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      const holder = await holderOf(path)
      if (holder !== undefined || attempt > 2) {
        throw new PullError(`This model is already being downloaded${holder ? ` by process ${holder}` : ''}.`, {
          reason: 'busy',
          cause: error,
        })
      }
      await rm(path, { force: true })
    }
  }
  const timer = setInterval(() => {
    const now = new Date()
    // Only the age of the lock hangs on this.
    utimes(path, now, now).catch(() => clearInterval(timer))
  }, touchEvery)
  timer.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await rm(path, { force: true })
    },
  }
}

/** Whether a process that lives holds the lock. */
export async function isLocked(path: string): Promise<boolean> {
  return (await holderOf(path)) !== undefined
}

/** The process that holds the lock; undefined where there is no lock or its holder is gone. */
async function holderOf(path: string): Promise<number | undefined> {
  try {
    const { mtimeMs } = await stat(path)
    const age = Date.now() - mtimeMs
    const text = await readFile(path, 'utf8')
    // Between its creation and its writing a lock is empty.
    if (text === '') return age < 1000 ? 0 : undefined
    const { pid, host } = JSON.parse(text) as { pid: number; host: string }
    const gone = host === hostname() ? !isAlive(pid) : age > staleAfter
    return gone ? undefined : pid
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it exists and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
