import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/** A chain that this process alone writes to, until disposed of. */
export interface ChainClaim extends AsyncDisposable {
  /** The requested name, or with a number if another process has it: `server`, `server.2` … */
  readonly chain: string
}

interface ClaimHolder {
  readonly pid: number
  readonly host: string
  /** When the process started, as the system counts it (Linux): distinguishes another process with the same id. */
  readonly began: string | null
  readonly nonce: string
}

/** Milliseconds between two heartbeats, for processes on other hosts (a folder shared between containers). */
const heartbeat = 20_000
/** Milliseconds without one after which another host's claim is void. */
const claimTimeout = 120_000
const maxChains = 1_000

/**
 * Claims a chain of `folder`: two processes that wrote to one would break it. The claim is a file `NAME.lock`; one whose process is gone
 * (after `kill -9`) is void. Throws where the folder cannot be written to.
 */
export async function claimChain(folder: string, name: string): Promise<ChainClaim> {
  for (let number = 1; number <= maxChains; number++) {
    const chain = number === 1 ? name : `${name}.${number}`
    const path = join(folder, `${chain}.lock`)
    const text = JSON.stringify(currentProcess())
    if (!(await tryClaim(path, text))) continue
    const timer = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => clearInterval(timer)), heartbeat)
    timer.unref()
    return {
      chain,
      async [Symbol.asyncDispose]() {
        clearInterval(timer)
        if ((await readIfExists(path)) === text) await rm(path, { force: true })
      },
    }
  }
  throw new Error(`All of ${maxChains} audit logs named '${name}' in ${folder} are in use.`)
}

async function tryClaim(path: string, text: string): Promise<boolean> {
  if (await tryCreate(path, text)) return true
  const held = await readIfExists(path)
  if (held === undefined) return tryCreate(path, text)
  if (!(await isStale(path, held))) return false
  // Of several processes that saw the same stale claim, the one that creates this file replaces it; later ones see the new claim.
  const replacement = `${path}.${hash('sha256', held).slice(0, 16)}`
  if (!(await tryCreate(replacement, text))) return false
  try {
    if ((await readIfExists(path)) !== held) return false
    const fresh = `${replacement}.new`
    await writeFile(fresh, text, { mode: 0o600 })
    await rename(fresh, path)
    return true
  } finally {
    await rm(replacement, { force: true })
  }
}

function currentProcess(): ClaimHolder {
  return { pid: process.pid, host: hostname(), began: startTimeOf(process.pid), nonce: randomBytes(8).toString('hex') }
}

async function isStale(path: string, held: string): Promise<boolean> {
  const holder = parseHolder(held)
  if (holder?.host === hostname()) return !isAlive(holder.pid) || startTimeOf(holder.pid) !== holder.began
  // Of another host, or interrupted while it was written: only its age decides.
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  )
  return age > claimTimeout
}

function parseHolder(text: string): ClaimHolder | undefined {
  try {
    const { pid, host, began, nonce } = JSON.parse(text) as Partial<ClaimHolder>
    return typeof pid === 'number' && typeof host === 'string' ? { pid, host, began: began ?? null, nonce: nonce ?? '' } : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Dead, but not reaped by its parent: in containers often permanently. */
function isZombie(pid: number): boolean {
  return /^[ZXx]$/.test(procStatOf(pid)?.[0] ?? '')
}

/** When it began, in ticks since the machine started. */
function startTimeOf(pid: number): string | null {
  return procStatOf(pid)?.[19] ?? null
}

/** The fields of `/proc/PID/stat` from the third, the state, on (proc(5)); null elsewhere than on Linux, and where the process is gone. */
function procStatOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, and may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== undefined) return null
    throw error
  }
}

async function tryCreate(path: string, text: string): Promise<boolean> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile(text)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
