import { join } from 'node:path'
import { type Program, startProgram } from '../../test/whole/program.ts'
import type { Place } from './places.ts'

export interface ServerSizes {
  readonly limit: number
  /** Of all clients together. */
  readonly requests: number
  /** Requests a second of all clients, so that the demand outlasts what is given back late. */
  readonly pace: number
}

export interface ServerResult {
  readonly asked: number
  /** 200, 429, any other status, no response. */
  readonly admitted: number
  readonly refused: number
  readonly other: number
  readonly cutOff: number
}

const workers = 4
const clients = 4
/** Requests that one client has under way at a time. */
const connections = 8

/**
 * The server itself, as a user starts it, with four workers and one limit on requests; four clients ask for more than it allows. With `kill` one worker
 * gets kill -9 when half the limit has been admitted; its supervisor starts another.
 */
export async function simulateServer(
  { entry, folder }: Place,
  { limit, requests, pace }: ServerSizes,
  kill: boolean,
): Promise<ServerResult> {
  const storage = { backends: { sql_default: { type: 'sql_sqlite', db_path: join(folder, 'records.db') }, counts: entry } }
  const limits = [{ name: 'all', per: 'global', requests: limit, period: 'month' }]
  const quota = { store: { backend: 'counts', namespace: crypto.randomUUID() }, limits }
  await using program = await startProgram({ server: { workers, drain_grace_seconds: 0, quota }, storage })
  await program.until(() => workersOf(program).length === workers)
  const [victim] = workersOf(program)
  const seen = { asked: 0, admitted: 0, refused: 0, other: 0, cutOff: 0 }
  const begin = performance.now()
  const ask = async (): Promise<void> => {
    while (seen.asked < requests) {
      if (seen.asked > (pace * (performance.now() - begin)) / 1000) await Bun.sleep(2)
      else {
        seen.asked++
        seen[await responseOf(program.url)]++
      }
    }
  }
  const asking = Array.from({ length: clients * connections }, ask)
  if (kill && victim !== undefined) {
    while (seen.admitted < limit / 2) await Bun.sleep(1)
    process.kill(victim, 'SIGKILL')
  }
  await Promise.all(asking)
  return seen
}

/** The process ids of the workers that were started so far. */
function workersOf(program: Program): number[] {
  return program.log.filter(({ msg }) => msg === 'worker started').map(({ pid }) => Number(pid))
}

async function responseOf(url: string): Promise<Exclude<keyof ServerResult, 'asked'>> {
  try {
    const response = await fetch(`${url}/v1/models`)
    await response.arrayBuffer()
    if (response.status === 200) return 'admitted'
    return response.status === 429 ? 'refused' : 'other'
  } catch {
    return 'cutOff'
  }
}
