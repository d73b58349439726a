import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { atMost, median, ofKind, pipes, ratio, ratios, type Results, type ServerResult, type Target } from './figures.ts'
import { fixedRate, held } from './plan.ts'
import { telemetryTables, telemetryTargets } from './report-telemetry.ts'

export function machine(goVersion: string): Record<string, string> {
  const processor = cpus()[0]?.model ?? 'unknown'
  const distribution = /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? ''
  return {
    processor: `${processor}, ${cpus().length} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${distribution}, Linux ${release()}`,
    go: goVersion.replace('go version ', ''),
    'load average before': loadavg()
      .map((value) => value.toFixed(2))
      .join(' '),
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)

export function targets({ servers }: Results): Target[] {
  const corral = servers.find(({ name }) => name === 'corral')
  return [...(corral ? targetsOf(corral, servers) : []), ...telemetryTargets(servers), ...servers.flatMap(soakTargets)]
}

function targetsOf(corral: ServerResult, servers: readonly ServerResult[]): Target[] {
  const named = (name: string) => servers.find((server) => server.name === name)
  const relay = named('bare relay')
  const list = [
    atMost('CPU a plain request, against the bare relay', ratio(corral, relay, 'plain'), { limit: 1.4, unit: ' ×' }),
    atMost("CPU a plain request, against Portkey's", ratio(corral, named('portkey'), 'plain'), { limit: 0.1, unit: ' ×' }),
    atMost('CPU a frame in bursts, against the bare relay', ratio(corral, relay, 'burst'), { limit: 1.2, unit: ' ×' }),
    atMost('CPU a frame paced, against the bare relay', ratio(corral, relay, 'paced'), { limit: 1.7, unit: ' ×' }),
    atMost('cold start to the first response (median)', corral.cold.length > 0 ? median(corral.cold) : undefined, {
      limit: 300,
      unit: ' ms',
    }),
    atMost('RSS after load', corral.memory.after / 1e6, { limit: 100, unit: ' MB' }),
    atMost(`RSS with ${held.streams} streams open`, corral.held && corral.held.rss / 1e6, { limit: 300, unit: ' MB' }),
    atMost(`streams lost of ${held.streams}`, corral.held?.lost, { limit: 0, unit: '' }),
  ]
  const governed = named('corral governed')
  const byToken = named('corral governed by token')
  if (governed && byToken) {
    list.push(
      atMost('CPU a governed plain request (key), against the ungoverned', ratio(governed, corral, 'plain'), { limit: 1.25, unit: ' ×' }),
      atMost('CPU a governed plain request (JWT), against the ungoverned', ratio(byToken, corral, 'plain'), { limit: 1.25, unit: ' ×' }),
      atMost("CPU a governed plain request, against Portkey's ungoverned", ratio(governed, named('portkey'), 'plain'), {
        limit: 0.125,
        unit: ' ×',
      }),
    )
  }
  return list
}

/** Of those that were under load for minutes: what it may take is set for Corral alone, that it stays flat for all. */
function soakTargets({ name, soak }: ServerResult): Target[] {
  if (!soak) return []
  const thirds = Math.floor(soak.rss.length / 3)
  const [middle, last] = [median(soak.rss.slice(thirds, 2 * thirds)), median(soak.rss.slice(-thirds))]
  const growth = atMost(
    `${name === 'corral' ? '' : `${name}: `}growth from the middle to the last third of ${soak.minutes} minutes`,
    (last / middle - 1) * 100,
    { limit: 5, unit: ' %' },
  )
  if (name !== 'corral') return [growth]
  return [atMost(`RSS at most over ${soak.minutes} minutes of load`, Math.max(...soak.rss) / 1e6, { limit: 100, unit: ' MB' }), growth]
}

export function markdown(results: Results): string {
  const { servers, direct, leftOut } = results
  const baseline = { p50: median(direct.map(({ p50_ms }) => p50_ms)), p99: median(direct.map(({ p99_ms }) => p99_ms)) }
  const head = [
    'server',
    'CPU µs/request',
    'requests/s',
    'CPU µs/frame, bursts',
    'CPU µs/frame, paced',
    `added p50 / p99 at ${fixedRate}/s`,
    `${held.streams} streams: whole, RSS`,
    'RSS before / after / peak',
    'cold start',
    'errors',
  ]
  const rows = servers.map((server) => {
    const rate = ofKind(server, 'rate')
    const added = (of: 'p50' | 'p99') => (median(rate.map((sample) => sample[`${of}_ms`])) - baseline[of]).toFixed(2)
    const { memory, cold } = server
    return [
      `${server.name} ${server.version}`,
      spread(ofKind(server, 'plain').map(({ cpuMicros }) => cpuMicros)),
      median(ofKind(server, 'plain').map(({ perSecond }) => perSecond)).toFixed(0),
      spread(ofKind(server, 'burst').map(({ cpuMicros }) => cpuMicros)),
      spread(ofKind(server, 'paced').map(({ cpuMicros }) => cpuMicros)),
      `${added('p50')} / ${added('p99')} ms`,
      server.held ? `${server.held.whole}, ${megabytes(server.held.rss)} MB` : '',
      `${megabytes(memory.before)} / ${megabytes(memory.after)} / ${megabytes(memory.peak)} MB`,
      cold.length > 0 ? `${median(cold).toFixed(0)} ms` : '',
      String([...server.samples, ...(server.soak ? [server.soak] : [])].reduce((sum, { errors }) => sum + errors, 0)),
    ]
  })
  const goals = targets(results).map(({ what, limit, measured, met }) => [
    what,
    limit,
    measured,
    met === undefined ? '' : met ? 'pass' : '**miss**',
  ])
  return [
    `${results.date}, ${results.plan} plan. ${Object.entries(results.machine)
      .map(([key, value]) => `${key}: ${value}`)
      .join('; ')}.`,
    pipes(head, rows),
    ...servers.map(({ name, about }) => `- ${name}: ${about}`),
    ...Object.entries(leftOut).map(([name, why]) => `- ${name} is left out: ${why}`),
    ...telemetryTables(servers),
    '',
    pipes(['target', 'limit', 'measured', ''], goals),
  ].join('\n')
}

/** `71 (69–74)`: the median and the range over rounds. */
function spread(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite)
  if (finite.length === 0) return 'fails'
  const digits = median(finite) < 10 ? 2 : 1
  const [low, high] = [Math.min(...finite), Math.max(...finite)]
  return finite.length === 1 ? low.toFixed(digits) : `${median(finite).toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`
}

/** Two checkouts side by side: a row for each pair of their servers, each figure of the first as a ratio to the other's, with the range over rounds. */
export function comparison({ servers }: Results, pairs: readonly (readonly [string, string])[]): string {
  const rows = pairs.flatMap(([name, otherName]) => {
    const [one, other] = [name, otherName].map((wanted) => servers.find((server) => server.name === wanted))
    if (!one || !other) return []
    const cold = median(one.cold) / median(other.cold)
    const cpu = (['plain', 'burst', 'paced', 'rate'] as const).map((kind) => spread(ratios(one, other, kind)))
    return [
      [
        name,
        ...cpu,
        cold.toFixed(2),
        (one.memory.before / other.memory.before).toFixed(2),
        (one.memory.after / other.memory.after).toFixed(2),
      ],
    ]
  })
  return pipes(['server', 'plain', 'burst', 'paced', 'rate', 'cold start', 'RSS idle', 'RSS after load'], rows)
}
