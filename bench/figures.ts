import type { Held, Kind, Memory, Sample, Soak } from './measure.ts'

export interface ServerResult {
  readonly name: string
  readonly about: string
  readonly version: string
  readonly aside: boolean
  readonly samples: readonly Sample[]
  readonly memory: Memory
  readonly held?: Held
  readonly soak?: Soak
  /** Milliseconds of each cold start. */
  readonly cold: readonly number[]
}

export interface Results {
  readonly date: string
  readonly plan: string
  readonly machine: Readonly<Record<string, string>>
  readonly servers: readonly ServerResult[]
  readonly direct: readonly Sample[]
  /** Name → why it could not be measured. */
  readonly leftOut: Readonly<Record<string, string>>
}

export interface Target {
  readonly what: string
  readonly limit: string
  readonly measured: string
  /** Undefined: not measured in this run. */
  readonly met: boolean | undefined
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function ofKind({ samples }: ServerResult, kind: Kind): readonly Sample[] {
  return samples.filter((sample) => sample.kind === kind)
}

/** One server's CPU time against another's in the same round, a ratio for each round: what slows the machine slows both. */
export function ratios(one: ServerResult, other: ServerResult, kind: Kind): number[] {
  return ofKind(one, kind).flatMap((sample) => {
    const beside = ofKind(other, kind).find(({ round }) => round === sample.round)
    return beside && Number.isFinite(beside.cpuMicros) ? [sample.cpuMicros / beside.cpuMicros] : []
  })
}

/** The median over rounds. */
export function ratio(one: ServerResult, other: ServerResult | undefined, kind: Kind): number | undefined {
  const all = other ? ratios(one, other, kind) : []
  return all.length > 0 ? median(all) : undefined
}

interface Limit {
  readonly limit: number
  readonly unit: string
  /** After the point; default 2 of a ratio, else 0. */
  readonly digits?: number
}

export function atMost(what: string, measured: number | undefined, { limit, unit, digits = unit.includes('×') ? 2 : 0 }: Limit): Target {
  return {
    what,
    limit: `≤ ${limit}${unit}`,
    measured: measured === undefined ? 'not measured' : `${measured.toFixed(digits)}${unit}`,
    met: measured === undefined ? undefined : measured <= limit,
  }
}

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** A table. */
export function pipes(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return ['', line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}
