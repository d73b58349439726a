import { setTimeout as wait } from 'node:timers/promises'
import { type Failure, load, type LoadPlan, type Pattern } from '../native.ts'
import { concurrency } from '../plan.ts'
import type { UnderTest } from '../servers.ts'
import { type Lag, lagOf, type Probed, readProbe } from './probe-client.ts'

/** Streams at full speed at once, and streams that nothing is read of. */
export const crowd = { flood: 50, unread: 200 } as const
/** Seconds of starting full-speed streams, of holding unread ones, and of each failure and each other pattern. */
const seconds = { flood: 4, unread: 7, failure: 1.5, pattern: 2 } as const
/** Failing requests a second. */
export const failureRate = 20

const failures: readonly Failure[] = ['e401', 'e429', 'e500', 'reset', 'cut']

export interface Flood {
  readonly lag: Lag
  /** Of /v1/health, milliseconds; at most. */
  readonly health: number
  readonly cpuMicros: number
  readonly framesPerSecond: number
  readonly errors: number
}

export interface Unread {
  readonly lag: Lag
  readonly health: number
  /** Bytes of the process for each stream, while they are held; only of a process that had no load before, as memory is seldom given back. */
  readonly rss?: number
}

export interface Failing {
  readonly lag: Lag
  readonly requests: number
  /** Milliseconds for each failed request. */
  readonly cpu: number
}

type Plan = Pick<LoadPlan, 'pattern' | 'concurrency' | 'seconds'> & Partial<LoadPlan>

function planFor({ url, headers, candidate }: UnderTest, plan: Plan): LoadPlan {
  return { url, headers, model: candidate.model ?? 'bench-model', ...plan }
}

function probe({ candidate, pid }: UnderTest): Promise<Probed> {
  return readProbe(candidate.name, pid)
}

/** Requests the health of a server every 50 ms during `work`; resolves with the maximum latency in milliseconds. */
async function healthDuring(server: UnderTest, work: Promise<unknown>): Promise<number> {
  const url = new URL(server.candidate.health, server.url)
  const over = work.then(() => true)
  for (let max = 0; ;) {
    const askedAt = performance.now()
    await (await fetch(url)).text()
    max = Math.max(max, performance.now() - askedAt)
    if (await Promise.race([over, wait(50, false)])) return max
  }
}

/** Streams whose upstream is always ready, and whose callers read all. */
export async function flood(server: UnderTest): Promise<Flood> {
  const plan = planFor(server, { pattern: 'flood', concurrency: crowd.flood, seconds: 1 })
  await load(plan)
  const begun = await probe(server)
  const loading = load({ ...plan, seconds: seconds.flood })
  const health = await healthDuring(server, loading)
  const { frames, errors, seconds: took } = await loading
  const { lags, cpu } = await probe(server)
  return { lag: lagOf(lags), health, cpuMicros: ((cpu - begun.cpu) / frames) * 1000, framesPerSecond: frames / took, errors }
}

/** An upstream that is always ready and never ends, and callers that read nothing. `fresh`: the process has had no load yet. */
export async function unread(server: UnderTest, fresh: boolean): Promise<Unread> {
  const plan = planFor(server, { pattern: 'long', concurrency: crowd.unread, seconds: seconds.unread, unread: true })
  // What a process needs for its first requests is not the streams'.
  if (fresh) await load(planFor(server, { pattern: 'plain', concurrency: 8, seconds: 1 }))
  const idle = await probe(server)
  const loading = load(plan)
  const lags: number[] = []
  const measuring = async (): Promise<Probed> => {
    await wait((seconds.unread - 2) * 1000)
    lags.push(...(await probe(server)).lags)
    // What was collected is given back to the system a little later.
    await wait(1000)
    return probe(server)
  }
  const measured = measuring()
  const health = await healthDuring(server, loading)
  const held = await measured
  lags.push(...held.lags, ...(await probe(server)).lags)
  return { lag: lagOf(lags), health, ...(fresh && { rss: (held.rss - idle.rss) / crowd.unread }) }
}

/** An upstream that fails in each of its ways. `one`: one request for each way, for servers that do not keep up with a rate. */
export async function failing(server: UnderTest, one = false): Promise<Failing> {
  const begun = await probe(server)
  let requests = 0
  for (const pattern of failures) {
    const plan: Plan = one
      ? { pattern, concurrency: 1, seconds: 0.1, once: true }
      : { pattern, concurrency: failureRate, seconds: seconds.failure, rate: failureRate }
    const result = await load(planFor(server, plan))
    if (result.requests === 0) throw new Error(`${server.candidate.name} did not respond beside the failure ${pattern}: ${result.error}`)
    requests += result.requests
  }
  const { lags, cpu } = await probe(server)
  return { lag: lagOf(lags), requests, cpu: (cpu - begun.cpu) / requests }
}

/** Microseconds of CPU time for each request or frame of one of the bench's other patterns. */
export async function cost(server: UnderTest, pattern: Extract<Pattern, 'plain' | 'burst' | 'paced'>): Promise<number> {
  const plan = planFor(server, { pattern, concurrency: concurrency[pattern], seconds: 0.5 })
  await load(plan)
  const begun = await probe(server)
  const { requests, frames } = await load({ ...plan, seconds: seconds.pattern })
  const { cpu } = await probe(server)
  return ((cpu - begun.cpu) / (pattern === 'plain' ? requests : frames)) * 1000
}
