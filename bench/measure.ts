import { load, type LoadPlan, type LoadResult, type Pattern } from './native.ts'
import { concurrency, fixedRate, held, type Plan } from './plan.ts'
import { cpuSeconds, peakRssBytes, processTree, rssBytes } from './processes.ts'
import type { UnderTest } from './servers.ts'

export type Kind = 'plain' | 'burst' | 'paced' | 'rate'

/** One window. */
export interface Sample extends LoadResult {
  readonly kind: Kind
  readonly round: number
  /** Microseconds of CPU time (the server's whole process tree) for each request, or for each frame where the pattern streams. */
  readonly cpuMicros: number
  readonly perSecond: number
  /** Bytes at the window's end. */
  readonly rss: number
}

function loadPlan({ url, headers, candidate }: UnderTest, kind: Kind, seconds: number): LoadPlan {
  const pattern: Pattern = kind === 'rate' ? 'plain' : kind
  const common = { url, headers, model: candidate.model ?? 'bench-model', pattern, seconds }
  return kind === 'rate' ? { ...common, concurrency: concurrency.plain, rate: fixedRate } : { ...common, concurrency: concurrency[kind] }
}

/** Loads a server for one window; every request that begins in it also ends in it. */
export async function measure(server: UnderTest, kind: Kind, { plan, round }: { plan: Plan; round: number }): Promise<Sample> {
  await load(loadPlan(server, kind, plan.warmUp))
  const before = cpuSeconds(server.pid)
  const streams = kind === 'burst' || kind === 'paced'
  const result = await load(loadPlan(server, kind, streams ? plan.window * 2 : plan.window))
  const cpu = cpuSeconds(server.pid) - before
  const units = streams ? result.frames : result.requests
  return { ...result, kind, round, cpuMicros: (cpu / units) * 1e6, perSecond: units / result.seconds, rss: rssBytes(server.pid) }
}

/** The mock upstream without a server between: what the latency figures are compared with. */
export async function measureDirect(url: string, { plan, round }: { plan: Plan; round: number }): Promise<Sample> {
  const result = await load({
    url,
    model: 'bench-model',
    pattern: 'plain',
    concurrency: concurrency.plain,
    seconds: plan.window,
    rate: fixedRate,
  })
  return { ...result, kind: 'rate', round, cpuMicros: 0, perSecond: result.requests / result.seconds, rss: 0 }
}

export interface Held {
  /** Streams that came whole, and that did not. */
  readonly whole: number
  readonly lost: number
  readonly error?: string
  /** Bytes, at most, while they were open. */
  readonly rss: number
  /** Bytes five seconds after. */
  readonly rssAfter: number
}

/** Holds many streams open at once, one frame a second each. */
export async function hold(server: UnderTest): Promise<Held> {
  const { url, headers, candidate } = server
  let rss = 0
  const sampling = setInterval(() => (rss = Math.max(rss, rssBytes(server.pid))), 250)
  const result = await load({
    url,
    headers,
    model: candidate.model ?? 'bench-model',
    pattern: 'hold',
    concurrency: held.streams,
    seconds: held.begunWithin,
    once: true,
  })
  clearInterval(sampling)
  await sleep(5)
  const { requests: whole, errors: lost, error } = result
  return { whole, lost, ...(error && { error }), rss, rssAfter: rssBytes(server.pid) }
}

export interface Memory {
  /** Bytes when idle before any load, three seconds after the last round, and at most. */
  readonly before: number
  readonly after: number
  readonly peak: number
  /** Names and bytes of the processes it consists of, after. */
  readonly processes: readonly { readonly name: string; readonly rss: number }[]
}

export async function memory(server: UnderTest, before: number): Promise<Memory> {
  await sleep(3)
  const processes = processTree(server.pid).map(({ name, rss }) => ({ name, rss }))
  return { before, after: rssBytes(server.pid), peak: peakRssBytes(server.pid), processes }
}

export interface Soak {
  readonly minutes: number
  /** Bytes at the end of each cycle of plain, burst and paced load. */
  readonly rss: readonly number[]
  readonly requests: number
  readonly errors: number
}

/** Loads a server for minutes, the patterns one after another, and looks at its memory after each cycle of half a minute. */
export async function soak(server: UnderTest, minutes: number, tell: (line: string) => void): Promise<Soak> {
  const rss: number[] = []
  let requests = 0
  let errors = 0
  const until = Date.now() + minutes * 60_000
  while (Date.now() < until) {
    for (const kind of ['plain', 'burst', 'paced'] as const) {
      const result = await load(loadPlan(server, kind, 10))
      requests += result.requests
      errors += result.errors
    }
    rss.push(rssBytes(server.pid))
    tell(`soak: ${Math.max(0, Math.round((until - Date.now()) / 1000))} s left, ${(rss.at(-1)! / 1e6).toFixed(1)} MB`)
  }
  return { minutes, rss, requests, errors }
}

export function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
