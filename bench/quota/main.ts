// `npm run bench:quota`: what the limiter promises, with real processes and real stores. Prints a table, writes JSON, fails where it is not kept.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Backend } from '../../src/storage/config.ts'
import { postgresAt, redisAt } from '../../src/testing/engines.ts'
import { findOrInstall } from '../../test/services/packages.ts'
import { startPostgres } from '../../test/services/postgres.ts'
import { startRedis } from '../../test/services/redis.ts'
import { measureHotPath } from './hot-path.ts'
import { broken, type Pattern, simulate, type SimulationOptions, type SimulationResult } from './simulation.ts'

const full = { processes: 8, requests: 50_000, limit: 200_000, duration: 8000 } as const
const quick = { processes: 4, requests: 10_000, limit: 20_000, duration: 2500 } as const

interface Row extends SimulationResult {
  readonly store: Backend['engine']
  readonly pattern: Pattern
  readonly killed: boolean
  readonly limit: number
  readonly verdict: string
}

const columns = [
  'store',
  'demand',
  'killed',
  'asked',
  'limit',
  'admitted',
  'missing',
  'held by the killed',
  'refused',
  'store calls',
  's',
  '',
] as const

function cellsOf({ store, pattern, killed, asked, limit, admitted, outstanding, refused, calls, elapsed, verdict }: Row): string[] {
  const missing = limit - admitted
  const held = killed ? String(outstanding) : ''
  const counts = [asked, limit, admitted, missing].map(String)
  return [store, pattern, killed ? 'one' : '', ...counts, held, String(refused), String(calls), (elapsed / 1000).toFixed(1), verdict]
}

function printed(rows: readonly (readonly string[])[]): string {
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function run(backend: Backend, sizes: typeof full | typeof quick): Promise<Row[]> {
  const rows: Row[] = []
  for (const pattern of ['even', 'skewed'] as const) {
    for (const kill of [false, true]) {
      const options: SimulationOptions = { ...sizes, backend, pattern, kill }
      const result = await simulate(options)
      const verdict = broken(options, result) ?? 'kept'
      const row: Row = { store: backend.engine, pattern, killed: kill, limit: sizes.limit, ...result, verdict }
      say(printed([cellsOf(row)]))
      rows.push(row)
    }
  }
  return rows
}

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const sizes = args.includes('--quick') ? quick : full
  const only = args.includes('--only') ? args[args.indexOf('--only') + 1]?.split(',') : undefined
  const isWanted = (name: string) => only?.includes(name) ?? true
  const folder = await mkdtemp(join(tmpdir(), 'corral-bench-quota-'))
  const rows: Row[] = []
  try {
    say(`${sizes.processes} processes, ${sizes.requests} requests each on average, over ${sizes.duration / 1000} s; limit ${sizes.limit}\n`)
    say(printed([columns, columns.map(() => '---')]))
    if (isWanted('sqlite')) rows.push(...(await run({ engine: 'sqlite', path: join(folder, 'quota.db') }, sizes)))
    if (isWanted('postgres') || isWanted('redis')) {
      const programs = findOrInstall(() => undefined)
      if (isWanted('postgres')) {
        await using postgres = await startPostgres(programs.postgres)
        rows.push(...(await run(postgresAt(postgres.url), sizes)))
      }
      if (isWanted('redis')) {
        await using redis = await startRedis(programs.redis)
        rows.push(...(await run(redisAt(redis.url), sizes)))
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  const hotPath = await measureHotPath()
  say(`\nreserve and settle of 4 counters with leases at hand: ${hotPath.toFixed(2)} µs (median of ten rounds)`)
  const out = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined
  const json = JSON.stringify({ date: new Date().toISOString(), sizes, rows, hotPathMicroseconds: hotPath }, null, 2)
  if (out) await writeFile(out, `${json}\n`)
  else say(`\n${json}`)
  return rows.every(({ verdict }) => verdict === 'kept') ? 0 : 1
}

process.exitCode = await main()
