import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/** A chain that this process alone writes to, until disposed of. */
export interface Claim extends AsyncDisposable {
  /** The name asked for, or that and a number where another process has it: `server`, `server.2` … */
  readonly chain: string
}

interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process began, as the system counts it (Linux), so that another process under the same id is told apart. */
  readonly began: string | null
  readonly nonce: string
}

/** Milliseconds between two signs of life, for those who look from another host (a folder shared between containers). */
const heartbeat = 20_000
/** Milliseconds without one after which another host's claim is void. */
const silence = 120_000
const mostChains = 1_000

/**
 * Claims a chain of `folder`: two processes that wrote to one would break it. The claim is a file `NAME.lock`; one whose process is gone
 * (after `kill -9`) is void. Throws where the folder cannot be written to.
 */
export async function claimChain(folder: string, name: string): Promise<Claim> {
  for (let number = 1; number <= mostChains; number++) {
    const chain = number === 1 ? name : `${name}.${number}`
    const path = join(folder, `${chain}.lock`)
    const text = JSON.stringify(ourselves())
    if (!(await take(path, text))) continue
    const timer = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => clearInterval(timer)), heartbeat)
    timer.unref()
    return {
      chain,
      async [Symbol.asyncDispose]() {
        clearInterval(timer)
        if ((await readIfThere(path)) === text) await rm(path, { force: true })
      },
    }
  }
  throw new Error(`All of ${mostChains} audit logs named '${name}' in ${folder} are in use.`)
}

async function take(path: string, text: string): Promise<boolean> {
  if (await created(path, text)) return true
  const held = await readIfThere(path)
  if (held === undefined) return created(path, text)
  if (!(await isVoid(path, held))) return false
  // Of those that saw the same void claim, the one that makes this file replaces it; whoever comes later sees that the claim has changed.
  const right = `${path}.${hash('sha256', held).slice(0, 16)}`
  if (!(await created(right, text))) return false
  try {
    if ((await readIfThere(path)) !== held) return false
    const fresh = `${right}.new`
    await writeFile(fresh, text, { mode: 0o600 })
    await rename(fresh, path)
    return true
  } finally {
    await rm(right, { force: true })
  }
}

function ourselves(): Holder {
  return { pid: process.pid, host: hostname(), began: beginningOf(process.pid), nonce: randomBytes(8).toString('hex') }
}

async function isVoid(path: string, held: string): Promise<boolean> {
  const holder = parseHolder(held)
  if (holder?.host === hostname()) return !isAlive(holder.pid) || beginningOf(holder.pid) !== holder.began
  // Of another host, or cut off while it was written: only its age can tell.
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  )
  return age > silence
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, began, nonce } = JSON.parse(text) as Partial<Holder>
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

/** Dead, and only not waited for by its parent yet: in a container often nobody ever does. */
function isZombie(pid: number): boolean {
  return /^[ZXx]$/.test(statOf(pid)?.[0] ?? '')
}

/** When it began, in ticks since the machine started. */
function beginningOf(pid: number): string | null {
  return statOf(pid)?.[19] ?? null
}

/** The fields of `/proc/PID/stat` from the third, the state, on (proc(5)); null elsewhere than on Linux, and where the process is gone. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, and may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== undefined) return null
    throw error
  }
}

async function created(path: string, text: string): Promise<boolean> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile(text)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
