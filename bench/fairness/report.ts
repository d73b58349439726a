import { atMost, median, pipes, type Target } from '../figures.ts'
import { crowd, type Failing, failureRate, type Flood, type Unread } from './measure.ts'
import { before } from './servers.ts'

export interface Round {
  readonly flood?: Flood
  readonly unread?: Unread
  readonly failing?: Failing
  /** Microseconds of CPU time for each request or frame of the other patterns. */
  readonly costs?: Readonly<Record<'plain' | 'burst' | 'paced', number>>
}

export interface FairnessServer {
  readonly name: string
  readonly about: string
  readonly version: string
  readonly rounds: readonly Round[]
}

export interface FairnessResults {
  readonly date: string
  readonly machine: Readonly<Record<string, string>>
  readonly servers: readonly FairnessServer[]
  /** Name → why it could not be measured. */
  readonly leftOut: Readonly<Record<string, string>>
}

type Figure = (round: Round) => number | undefined

function valuesOf({ rounds }: FairnessServer, pick: Figure): number[] {
  return rounds.map(pick).filter((value) => value !== undefined && Number.isFinite(value)) as number[]
}

const shown = (value: number): string => value.toFixed(value < 10 ? 1 : 0)

/** `8.1 (7–12)`: the median and the range over rounds. */
function spread(server: FairnessServer, pick: Figure, unit = ''): string {
  const values = valuesOf(server, pick)
  if (values.length === 0) return ''
  const range = values.length > 1 ? ` (${shown(Math.min(...values))}–${shown(Math.max(...values))})` : ''
  return `${shown(median(values))}${range}${unit}`
}

/** The median over rounds of one server's figure by another's in the same round. */
function ratio(one: FairnessServer, other: FairnessServer | undefined, pick: Figure): number | undefined {
  const ratios = one.rounds.flatMap((round, at) => {
    const [mine, theirs] = [pick(round), other?.rounds[at] && pick(other.rounds[at])]
    return mine !== undefined && theirs !== undefined && theirs > 0 ? [mine / theirs] : []
  })
  return ratios.length > 0 ? median(ratios) : undefined
}

const times = (value: number | undefined): string => (value === undefined ? '' : `${value < 0.1 ? value.toFixed(3) : value.toFixed(2)} ×`)

export function fairnessTargets({ servers }: FairnessResults): Target[] {
  const corral = servers.find(({ name }) => name === 'corral')
  const earlier = servers.find(({ name }) => name === `corral ${before}`)
  const relay = servers.find(({ name }) => name === 'bare relay')
  if (!corral) return []
  const p99 = (pick: Figure): number | undefined => {
    const values = valuesOf(corral, pick)
    return values.length > 0 ? median(values) : undefined
  }
  const [held, heldByRelay] = [corral, relay].map((server) => server && valuesOf(server, (round) => round.unread?.rss)[0])
  const beyond = held !== undefined && heldByRelay !== undefined ? held - heldByRelay : undefined
  const cost = (pattern: 'plain' | 'burst' | 'paced') => ratio(corral, earlier, (round) => round.costs?.[pattern])
  const ms = { limit: 50, unit: ' ms', digits: 1 }
  return [
    atMost(
      `timer lag, p99, beside ${crowd.flood} streams at full speed`,
      p99((round) => round.flood?.lag.p99),
      ms,
    ),
    atMost(
      `timer lag, p99, beside ${crowd.unread} unread streams`,
      p99((round) => round.unread?.lag.p99),
      ms,
    ),
    atMost(
      'timer lag, p99, beside failing upstreams',
      p99((round) => round.failing?.lag.p99),
      ms,
    ),
    atMost('memory of an unread stream beyond that of the bare relay', beyond === undefined ? undefined : beyond / 1000, {
      limit: 256,
      unit: ' kB',
    }),
    atMost(`CPU a plain request, against ${before}`, cost('plain'), { limit: 1.05, unit: ' ×' }),
    atMost(`CPU a frame in bursts, against ${before}`, cost('burst'), { limit: 1.05, unit: ' ×' }),
    atMost(`CPU a frame paced, against ${before}`, cost('paced'), { limit: 1.05, unit: ' ×' }),
  ]
}

export function fairnessMarkdown(results: FairnessResults): string {
  const { servers, leftOut, date, machine } = results
  const earlier = servers.find(({ name }) => name === `corral ${before}`)
  const beside = servers.filter(({ rounds }) => rounds.some(({ flood }) => flood))
  const fair = beside.map((server) => [
    server.name,
    spread(server, (round) => round.flood?.lag.p99, ' ms'),
    server === earlier ? '' : times(ratio(server, earlier, (round) => round.flood?.lag.p99)),
    spread(server, (round) => round.flood?.lag.max, ' ms'),
    spread(server, (round) => round.flood?.health, ' ms'),
    spread(server, (round) => round.flood?.cpuMicros),
    spread(server, (round) => round.unread?.lag.p99, ' ms'),
    server === earlier ? '' : times(ratio(server, earlier, (round) => round.unread?.lag.p99)),
    spread(server, (round) => round.unread?.health, ' ms'),
    spread(server, (round) => round.unread?.rss && round.unread.rss / 1000, ' kB'),
  ])
  const errors = servers
    .filter(({ rounds }) => rounds.some(({ failing }) => failing))
    .map((server) => [
      server.name.includes(server.version) ? server.name : `${server.name} ${server.version}`,
      spread(server, (round) => round.failing?.requests),
      spread(server, (round) => round.failing?.lag.p99, ' ms'),
      spread(server, (round) => round.failing?.lag.max, ' ms'),
      spread(server, (round) => round.failing?.cpu, ' ms'),
    ])
  const [flood, unread] = [`${crowd.flood} at full speed`, `${crowd.unread} unread`]
  const goals = fairnessTargets(results).map(({ what, limit, measured, met }) => [
    what,
    limit,
    measured,
    met === undefined ? '' : met ? 'pass' : '**miss**',
  ])
  return [
    `${date}. ${Object.entries(machine)
      .map(([key, value]) => `${key}: ${value}`)
      .join('; ')}.`,
    pipes(
      [
        'server',
        `${flood}: timer lag p99`,
        `against ${before}`,
        'lag max',
        '`/v1/health` max',
        'CPU µs/frame',
        `${unread}: timer lag p99`,
        `against ${before}`,
        '`/v1/health` max',
        'memory a stream',
      ],
      fair,
    ),
    pipes(
      [`upstream fails (401, 429, 500, reset, cut), ${failureRate}/s`, 'requests', 'timer lag p99', 'lag max', 'CPU a request'],
      errors,
    ),
    ...servers.map(({ name, about }) => `- ${name}: ${about}`),
    ...Object.entries(leftOut).map(([name, why]) => `- ${name} is left out: ${why}`),
    '',
    pipes(['target', 'limit', 'measured', ''], goals),
  ].join('\n')
}
