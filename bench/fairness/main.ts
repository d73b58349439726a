import type { Mock } from '../native.ts'
import { start, type UnderTest } from '../servers.ts'
import { cost, failing, flood, unread } from './measure.ts'
import type { FairnessResults, FairnessServer, Round } from './report.ts'
import { probedServers } from './servers.ts'

interface FairnessOptions {
  readonly rounds: number
  readonly mock: Mock
  readonly machine: Readonly<Record<string, string>>
  readonly tell: (line: string) => void
}

async function round(server: UnderTest, isFirst: boolean): Promise<Round> {
  const { name } = server.candidate
  // One response of it takes seconds of CPU time.
  if (name === 'ogx') return { failing: await failing(server, true) }
  const beside: Round = { unread: await unread(server, isFirst), flood: await flood(server) }
  if (name === 'bare relay') return beside
  const costs = { plain: await cost(server, 'plain'), burst: await cost(server, 'burst'), paced: await cost(server, 'paced') }
  return { ...beside, failing: await failing(server), costs }
}

/** Measures fairness: Corral, Corral before streams took turns, the bare relay, and OGX where upstreams fail. */
export async function measureFairness({ rounds, mock, machine, tell }: FairnessOptions): Promise<FairnessResults> {
  const leftOut: Record<string, string> = {}
  const measured: (FairnessServer & { rounds: Round[] })[] = []
  const servers: UnderTest[] = []
  try {
    for (const candidate of probedServers) {
      try {
        tell(`start: ${candidate.name}`)
        servers.push(await start({ candidate, version: candidate.install() }, mock.url))
      } catch (error) {
        leftOut[candidate.name] = error instanceof Error ? error.message : String(error)
        tell(`${candidate.name} is left out: ${leftOut[candidate.name]}`)
      }
    }
    for (const { candidate, version } of servers) measured.push({ name: candidate.name, about: candidate.about, version, rounds: [] })
    for (let count = 0; count < rounds; count += 1) {
      for (let place = 0; place < servers.length; place += 1) {
        const at = (place + count) % servers.length
        const [server, result] = [servers[at]!, measured[at]!]
        if (result.name === 'ogx' && count > 0) continue
        const figures = await round(server, count === 0)
        result.rounds.push(figures)
        const { flood: full, unread: none, failing: failed } = figures
        const shown = { full: full?.lag, health: full?.health, unread: none?.lag, failing: failed?.lag }
        tell(
          `round ${count + 1} ${result.name}: ${JSON.stringify(shown, (_, value: unknown) => (typeof value === 'number' ? Math.round(value * 10) / 10 : value))}`,
        )
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
  return { date: new Date().toISOString().slice(0, 10), machine, servers: measured, leftOut }
}
