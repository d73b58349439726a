import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRedisStore } from '../../src/quota/stores/redis.ts'
import { createSqlStore } from '../../src/quota/stores/sql.ts'
import { windowAt } from '../../src/quota/windows.ts'
import type { Backend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import type { Task } from './process.ts'
import { makeTallies, outstandingOf, type Tally, tallyOf } from './tally.ts'

/** `even`: all ask for as much. `skewed`: one asks for nearly everything, the others for a little at first, and then hold what they have taken. */
export type Pattern = 'even' | 'skewed'

export interface SimulationOptions {
  readonly backend: Backend
  readonly processes: number
  /** For each process on average. */
  readonly requests: number
  /** Of all of them together. */
  readonly limit: number
  readonly pattern: Pattern
  /** Milliseconds over which the requests are spread. */
  readonly duration: number
  /** One of them gets kill -9: when half the limit has been admitted, or (skewed) a quiet one in the middle of what it asks for. */
  readonly kill: boolean
}

export interface SimulationResult {
  readonly asked: number
  readonly admitted: number
  readonly refused: number
  readonly failed: number
  /** As the store says at the end. */
  readonly taken: number
  /** What the killed process held at most when it was killed, by its own tally; 0 without one. */
  readonly outstanding: number
  /** Calls to the store, of all processes. */
  readonly calls: number
  /** Milliseconds from the word to begin to the end of the last process. */
  readonly elapsed: number
}

/** What a skewed pattern's quiet processes ask for: a hundredth of what they would on average. */
const quietShare = 0.01
const maxStart = 30_000

/** Runs real processes against a real store. Throws if one of them fails. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { backend, processes, limit, pattern, kill } = options
  const folder = await mkdtemp(join(tmpdir(), 'corral-simulation-'))
  const tallies = join(folder, 'tallies')
  const counter = `simulated ${crypto.randomUUID()}`
  makeTallies(tallies, processes)
  const children: ChildProcess[] = []
  try {
    const seen = Array.from({ length: processes }, (_, index) => tallyOf(tallies, index))
    const ended = seen.map((_, index) => startProcess(taskOf(options, { counter, tallies, index }), children))
    await untilAll(seen, 1, ended)
    const begin = performance.now()
    for (const tally of seen) tally.begun = 1
    let outstanding = 0
    if (kill) {
      const victim = processes - 1
      const middle = pattern === 'even' ? limit / 2 : quietOf(options) / 2
      while ((pattern === 'even' ? sumOf(seen, 'admitted') : (seen[victim]?.asked ?? 0)) < middle) await Bun.sleep(1)
      children[victim]?.kill('SIGKILL')
      await ended[victim]?.catch(() => undefined)
      outstanding = seen.slice(victim).reduce((sum, dead) => sum + outstandingOf(dead), 0)
    }
    await Promise.all(kill ? ended.slice(0, -1) : ended)
    const elapsed = performance.now() - begin
    return {
      asked: sumOf(seen, 'asked'),
      admitted: sumOf(seen, 'admitted'),
      refused: sumOf(seen, 'refused'),
      failed: sumOf(seen, 'failed'),
      taken: await takenIn(backend, counter, limit),
      outstanding,
      calls: sumOf(seen, 'calls'),
      elapsed,
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }

  function taskOf({ requests, duration }: SimulationOptions, place: Pick<Task, 'counter' | 'tallies' | 'index'>): Task {
    const quiet = quietOf(options)
    const isQuiet = pattern === 'skewed' && place.index > 0
    const own = pattern === 'even' ? requests : isQuiet ? quiet : requests * processes - quiet * (processes - 1)
    const secret = backend.engine === 'sqlite' ? undefined : backend.password?.reveal()
    // The quiet ones are through early, and stay alive with what they hold until the others are.
    return { ...place, backend, secret, limit, requests: own, duration: isQuiet ? duration / 4 : duration, linger: isQuiet ? duration : 0 }
  }
}

function quietOf({ requests }: SimulationOptions): number {
  return Math.ceil(requests * quietShare)
}

/** How a simulation violates a guarantee; undefined if it does not. */
export function broken({ limit, kill }: SimulationOptions, { admitted, taken, outstanding, failed }: SimulationResult): string | undefined {
  if (admitted > limit) return `${admitted} admitted of ${limit}`
  if (taken !== limit) return `${taken} taken of ${limit}`
  if (failed > 0) return `${failed} requests failed`
  if (!kill) return admitted === limit ? undefined : `only ${admitted} of ${limit} admitted`
  return limit - admitted <= outstanding ? undefined : `${limit - admitted} missing, and the killed process held ${outstanding} at most`
}

function startProcess(task: Task, children: ChildProcess[]): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dir, 'process.ts'), JSON.stringify(task)], {
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  children.push(child)
  let stderr = ''
  child.stderr?.on('data', (piece: Uint8Array) => (stderr += new TextDecoder().decode(piece)))
  const ended = new Promise<void>((resolve, reject) => {
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`process ${task.index} has ended (${code ?? signal}): ${stderr}`))
    })
  })
  // It is waited for later.
  ended.catch(() => undefined)
  return ended
}

async function untilAll(tallies: readonly Tally[], stage: number, ended: readonly Promise<void>[]): Promise<void> {
  const giveUp = performance.now() + maxStart
  while (tallies.some((tally) => tally.stage < stage)) {
    if (performance.now() > giveUp) throw new Error('the processes did not get ready')
    await Promise.race([Bun.sleep(5), ...ended])
  }
}

function sumOf(tallies: readonly Tally[], field: keyof Tally): number {
  return tallies.reduce((sum, tally) => sum + tally[field], 0)
}

async function takenIn(backend: Backend, counter: string, limit: number): Promise<number> {
  const database = backend.engine === 'redis' ? undefined : await openDatabase(backend)
  const store = database ? createSqlStore(database) : backend.engine === 'redis' ? createRedisStore(backend) : undefined
  if (!store) throw new Error('there is a store for every backend')
  try {
    const nothing = { returned: 0, owed: 0, atLeast: 0, wanted: 0, leased: 0 }
    const { remaining } = await store.exchange({ counter, window: windowAt('month', Date.now()), limit, ...nothing })
    return limit - remaining
  } finally {
    await store[Symbol.asyncDispose]()
    await database?.[Symbol.asyncDispose]()
  }
}
