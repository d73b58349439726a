import { atMost, median, ofKind, pipes, type ServerResult, ratio, type Target } from './figures.ts'
import type { Sample } from './measure.ts'
import type { Accounts } from './telemetry.ts'

/** The targets of the servers with telemetry. */
export function telemetryTargets(servers: readonly ServerResult[]): Target[] {
  const named = (name: string) => servers.find((server) => server.name === name)
  const [governed, observed, traced] = [named('corral governed'), named('corral observed'), named('corral traced')]
  const list: Target[] = []
  if (observed) {
    list.push(
      atMost('CPU a plain request with a tenth traced and `/metrics` read, against governed', ratio(observed, governed, 'plain'), {
        limit: 1.25,
        unit: ' ×',
      }),
      atMost('dropped telemetry below saturation, a tenth traced', dropped(belowSaturation(observed)), { limit: 0, unit: '' }),
    )
  }
  if (traced) {
    const below = belowSaturation(traced)
    const added = besides(traced, governed).map(({ sample, beside }) => sample.p99_ms - beside.p99_ms)
    list.push(
      atMost('CPU a plain request with all traced and exported, against governed', ratio(traced, governed, 'plain'), {
        limit: 1.8,
        unit: ' ×',
      }),
      atMost('added p99 at half of saturation, all traced, against governed', added.length > 0 ? median(added) : undefined, {
        limit: 2,
        unit: ' ms',
        digits: 2,
      }),
      atMost('spans made and not received, or received twice, below saturation', sum(below.map(astray)), { limit: 0, unit: '' }),
      atMost('dropped telemetry below saturation, all traced', dropped(below), { limit: 0, unit: '' }),
    )
  }
  return list
}

/** The columns that the tables of all servers do not have; empty if no telemetry was measured. */
export function telemetryTables(servers: readonly ServerResult[]): string[] {
  const governed = servers.find(({ name }) => name === 'corral governed')
  const halves = servers.flatMap((server) => (ofKind(server, 'half').length > 0 && server !== governed ? [halfRow(server, governed)] : []))
  const counts = servers.flatMap(accountRows)
  const half = ['at half of saturation', 'requests/s', 'p50 / p99', 'p50 / p99 of corral governed', 'added']
  const accounts = ['telemetry', 'load', 'requests', 'spans made', 'received', 'traces stored', 'dropped', '`/metrics` read']
  return [...(halves.length > 0 ? [pipes(half, halves)] : []), ...(counts.length > 0 ? [pipes(accounts, counts)] : [])]
}

function halfRow(server: ServerResult, governed: ServerResult | undefined): string[] {
  const pairs = besides(server, governed)
  const both = (of: (pair: (typeof pairs)[number], what: 'p50_ms' | 'p99_ms') => number) =>
    (['p50_ms', 'p99_ms'] as const).map((what) => median(pairs.map((pair) => of(pair, what))).toFixed(2)).join(' / ')
  return [
    server.name,
    String(pairs[0]?.sample.rate ?? ''),
    `${both(({ sample }, what) => sample[what])} ms`,
    `${both(({ beside }, what) => beside[what])} ms`,
    `${both(({ sample, beside }, what) => sample[what] - beside[what])} ms`,
  ]
}

/** Each window at half of saturation with the other server's in the same round at the same rate. */
function besides(server: ServerResult, other: ServerResult | undefined): { sample: Sample; beside: Sample }[] {
  if (!other) return []
  const theirs = ofKind(other, 'half')
  return ofKind(server, 'half').flatMap((sample) => {
    const beside = theirs.find(({ round, rate }) => round === sample.round && rate === sample.rate)
    return beside ? [{ sample, beside }] : []
  })
}

function accountRows({ name, samples, soak }: ServerResult): string[][] {
  const loads: readonly (readonly [string, readonly Accounts[]])[] = [
    ['at saturation', accountsOf(samples.filter(({ kind }) => kind === 'plain'))],
    ['below it', accountsOf(samples.filter(({ kind }) => kind !== 'plain'))],
    [`${soak?.minutes} minutes of both`, soak?.accounts ? [soak.accounts] : []],
  ]
  return loads.flatMap(([load, accounts]) => (accounts.length > 0 ? [accountRow([name, load], accounts)] : []))
}

function accountRow(names: readonly string[], accounts: readonly Accounts[]): string[] {
  const total = (what: 'requests' | 'made' | 'received' | 'stored' | 'scrapes') =>
    accounts[0]?.[what] === undefined ? '' : String(sum(accounts.map((one) => one[what] ?? 0)))
  const kinds = [...new Set(accounts.flatMap((one) => Object.keys(one.dropped)))]
  const lost = kinds
    .map((kind): [string, number] => [kind, sum(accounts.map((one) => one.dropped[kind] ?? 0))])
    .filter(([, count]) => count > 0)
  return [
    ...names,
    total('requests'),
    total('made'),
    total('received'),
    total('stored'),
    lost.length > 0 ? lost.map(([kind, count]) => `${count} ${kind}`).join(', ') : '0',
    total('scrapes'),
  ]
}

/** Plain requests come as fast as responses arrive, which saturates; the other patterns offer less. */
function belowSaturation({ samples }: ServerResult): readonly Accounts[] {
  return accountsOf(samples.filter(({ kind }) => kind !== 'plain'))
}

function accountsOf(samples: readonly Sample[]): readonly Accounts[] {
  return samples.flatMap(({ accounts }) => accounts ?? [])
}

function dropped(accounts: readonly Accounts[]): number {
  return sum(accounts.flatMap((one) => Object.values(one.dropped)))
}

function astray({ made = 0, received = 0 }: Accounts): number {
  return Math.abs(made - received)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
