import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const cache = join(import.meta.dirname, '..', '.cache')

/** What a probe measured between two signals. */
export interface Probed {
  readonly written: number
  /** Milliseconds of CPU time from the due time of a timer to its call, one for each time that was due. */
  readonly lags: readonly number[]
  /** Milliseconds of CPU time of the whole process so far. */
  readonly cpu: number
  /** Bytes, garbage collected where the runtime can be asked to. */
  readonly rss: number
}

/** Where the probe of a server writes. */
export function probeFile(name: string): string {
  return join(cache, `fairness-${name.replaceAll(/\W+/g, '-')}.json`)
}

/** Asks the probe of a server for what it measured since the last time, and lets it begin anew. */
export async function readProbe(name: string, pid: number): Promise<Probed> {
  const file = probeFile(name)
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  const giveUpAt = Date.now() + 120_000
  while (!existsSync(file)) {
    if (Date.now() > giveUpAt) throw new Error(`The probe in ${name} wrote nothing for two minutes.`)
    await wait(10)
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Probed
}

export interface Lag {
  /** Times that the timer was due. */
  readonly due: number
  /** Milliseconds of the server's CPU time. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export function lagOf(lags: readonly number[]): Lag {
  const sorted = lags.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { due: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}
