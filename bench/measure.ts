import { setTimeout as wait } from 'node:timers/promises'
import { load, type LoadPlan, type LoadResult } from './native.ts'
import { concurrency, fixedRate, held, type Plan } from './plan.ts'
import { cpuSeconds, peakRssBytes, processTree, rssBytes } from './processes.ts'
import type { UnderTest } from './servers.ts'
import { type Accounts, Watch } from './telemetry.ts'

/** `half`: plain requests at half of a server's saturation. */
export type Kind = 'plain' | 'burst' | 'paced' | 'rate' | 'half'

/** One window. */
export interface Sample extends LoadResult {
  readonly kind: Kind
  readonly round: number
  /** Microseconds of CPU time (the server's whole process tree) for each request, or for each frame where the pattern streams. */
  readonly cpuMicros: number
  readonly perSecond: number
  /** Bytes at the window's end. */
  readonly rss: number
  /** Offered requests per second, where they were sent at fixed times. */
  readonly rate?: number
  /** Of the window and the load before it. */
  readonly accounts?: Accounts
}

interface Load {
  readonly kind: Kind
  readonly seconds: number
  readonly rate?: number | undefined
}

function loadPlan({ url, headers, candidate }: UnderTest, { kind, seconds, rate }: Load): LoadPlan {
  const atTimes = kind === 'rate' || kind === 'half'
  const pattern = atTimes ? 'plain' : kind
  const common = { url, headers, model: candidate.model ?? 'bench-model', pattern, seconds }
  return { ...common, concurrency: concurrency[pattern], ...(atTimes && { rate: rate ?? fixedRate }) }
}

interface Window {
  readonly plan: Plan
  readonly round: number
  /** Of `half`, which takes one. */
  readonly rate?: number
}

/** Loads a server for one window; every request that begins in it also ends in it. */
export async function measure(server: UnderTest, kind: Kind, { plan, round, rate }: Window): Promise<Sample> {
  const watch = await Watch.begin(server)
  await watch.during(() => load(loadPlan(server, { kind, seconds: plan.warmUp, rate })))
  const before = cpuSeconds(server.pid)
  const streams = kind === 'burst' || kind === 'paced'
  const seconds = streams || kind === 'half' ? plan.window * 2 : plan.window
  const result = await watch.during(() => load(loadPlan(server, { kind, seconds, rate })))
  const cpu = cpuSeconds(server.pid) - before
  const units = streams ? result.frames : result.requests
  const figures = { cpuMicros: (cpu / units) * 1e6, perSecond: units / result.seconds, rss: rssBytes(server.pid) }
  const accounts = await watch.end()
  const { failures } = watch
  return {
    ...result,
    ...(failures.length > 0 && { errors: result.errors + failures.length, error: result.error ?? failures[0]! }),
    kind,
    round,
    ...figures,
    ...(rate !== undefined && { rate }),
    ...(accounts && { accounts }),
  }
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
  await wait(5000)
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
  await wait(3000)
  const processes = processTree(server.pid).map(({ name, rss }) => ({ name, rss }))
  return { before, after: rssBytes(server.pid), peak: peakRssBytes(server.pid), processes }
}

export interface Soak {
  readonly minutes: number
  /** Bytes at the end of each cycle of plain, burst and paced load. */
  readonly rss: readonly number[]
  readonly requests: number
  readonly errors: number
  readonly accounts?: Accounts
}

/** Loads a server for minutes, the patterns one after another, and reads its memory after each cycle of half a minute. */
export async function soak(server: UnderTest, minutes: number, tell: (line: string) => void): Promise<Soak> {
  const rss: number[] = []
  let requests = 0
  let errors = 0
  const watch = await Watch.begin(server)
  const until = Date.now() + minutes * 60_000
  while (Date.now() < until) {
    for (const kind of ['plain', 'burst', 'paced'] as const) {
      const result = await watch.during(() => load(loadPlan(server, { kind, seconds: 10 })))
      requests += result.requests
      errors += result.errors
    }
    rss.push(rssBytes(server.pid))
    tell(
      `soak of ${server.candidate.name}: ${Math.max(0, Math.round((until - Date.now()) / 1000))} s left, ${(rss.at(-1)! / 1e6).toFixed(1)} MB`,
    )
  }
  const accounts = await watch.end()
  return { minutes, rss, requests, errors: errors + watch.failures.length, ...(accounts && { accounts }) }
}
