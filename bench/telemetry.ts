import { Database } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { UnderTest } from './servers.ts'

/** Telemetry counts of some requests. */
export interface Accounts {
  readonly requests: number
  /** One for each request and one for its inference; undefined: not all are exported. */
  readonly made?: number
  /** By the collector's count. */
  readonly received?: number
  /** Requests that the trace store has. */
  readonly stored?: number
  /** By the server's own count, `corral.telemetry.dropped`: log lines, spans, pushes of metrics, audit entries, ledger lines. */
  readonly dropped: Readonly<Record<string, number>>
  readonly scrapes: number
}

/** The traffic of `load` that counts here. */
interface Traffic {
  readonly requests: number
  readonly errors: number
}

const spansOfRequest = 2
/** Milliseconds that a server which governs gets to finish what it does behind its requests: ledger, audit log, trace store, export (by default after one second). */
const settling = 1500
/** Milliseconds without another span after which the collector is not waited for: more than an exporter waits before it tries again the first time. */
const patience = 3000

/** Follows one server's telemetry over the loads of one window. */
export class Watch {
  readonly #server: UnderTest
  readonly #before: Counts | undefined
  #requests = 0
  #scrapes = 0
  /** What went wrong with reading `/metrics`, one for each time. */
  readonly failures: string[] = []

  static async begin(server: UnderTest): Promise<Watch> {
    return new Watch(server, server.candidate.telemetry && (await counts(server)))
  }

  private constructor(server: UnderTest, before: Counts | undefined) {
    this.#server = server
    this.#before = before
  }

  /** Runs one load, reading `/metrics` each second if that is part of it, and resolves once the server has done what it does behind requests. */
  async during<Result extends Traffic>(load: () => Promise<Result>): Promise<Result> {
    const { telemetry, settles } = this.#server.candidate
    const scraping = telemetry?.scraped ? setInterval(() => void this.#scrape(), 1000) : undefined
    if (scraping) void this.#scrape()
    const result = await load().finally(() => clearInterval(scraping))
    this.#requests += result.requests + result.errors
    await Promise.all([settles && sleep(settling), telemetry?.exports && this.#arrived()])
    return result
  }

  /** The counts of all loads so far; undefined: telemetry is not measured here. */
  async end(): Promise<Accounts | undefined> {
    const before = this.#before
    if (!before) return undefined
    const after = await counts(this.#server)
    const difference = (what: 'received' | 'stored') => ({ [what]: (after[what] ?? 0) - (before[what] ?? 0) })
    return {
      requests: this.#requests,
      ...(after.received !== undefined && { made: this.#requests * spansOfRequest, ...difference('received') }),
      ...(after.stored !== undefined && difference('stored')),
      dropped: Object.fromEntries(Object.entries(after.dropped).map(([what, count]) => [what, count - (before.dropped[what] ?? 0)])),
      scrapes: this.#scrapes,
    }
  }

  async #scrape(): Promise<void> {
    try {
      await metricsOf(this.#server)
      this.#scrapes += 1
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
    }
  }

  async #arrived(): Promise<void> {
    const before = this.#before?.received ?? 0
    let last = -1
    let lastAt = performance.now()
    for (;;) {
      const spans = await collected(this.#server.upstream)
      if (spans - before >= this.#requests * spansOfRequest) return
      if (spans > last) [last, lastAt] = [spans, performance.now()]
      else if (performance.now() - lastAt > patience) return
      await sleep(50)
    }
  }
}

interface Counts {
  readonly received?: number
  readonly stored?: number
  readonly dropped: Readonly<Record<string, number>>
}

async function counts(server: UnderTest): Promise<Counts> {
  const { exports, store } = server.candidate.telemetry ?? {}
  const dropped: Record<string, number> = {}
  for (const [, what = '', count] of (await metricsOf(server)).matchAll(
    /^corral_telemetry_dropped_total\{.*?corral_dropped="(.*?)".*?\} (\S+)/gm,
  ))
    dropped[what] = Number(count)
  return { dropped, ...(exports && { received: await collected(server.upstream) }), ...(store && { stored: storedIn(store()) }) }
}

async function metricsOf({ url, headers, candidate }: UnderTest): Promise<string> {
  const shown = headers.map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
  const response = await fetch(new URL('/metrics', url), { headers: shown })
  const text = await response.text()
  if (!response.ok || !text.includes('# TYPE '))
    throw new Error(`${candidate.name}: GET /metrics: ${response.status} ${text.slice(0, 200)}`)
  return text
}

/** Spans that the collector has counted since it began. It rejects what it cannot decode, which the sender counts as dropped. */
async function collected(upstream: string): Promise<number> {
  return ((await (await fetch(`${upstream}/collected`)).json()) as { spans: number }).spans
}

/** The store's file is made with its first trace. */
function storedIn(file: string): number {
  if (!existsSync(file)) return 0
  const database = new Database(file, { readonly: true })
  try {
    return database.query<{ traces: number }, []>('select count(*) as traces from traces').get()?.traces ?? 0
  } finally {
    database.close()
  }
}
