// `npm run bench:quota`: the guarantees of the limiter, with real processes and real stores. Prints tables, writes JSON, fails if a guarantee is violated.
// --quick; --only sqlite,redis; --json FILE
import { writeFile } from 'node:fs/promises'
import { measureHotPath } from './hot-path.ts'
import { type Kind, kinds, type Place, startPlace } from './places.ts'
import { type ServerResult, type ServerSizes, simulateServer } from './server.ts'
import { broken, type Pattern, simulate, type SimulationOptions, type SimulationResult } from './simulation.ts'

interface Sizes {
  readonly processes: Pick<SimulationOptions, 'processes' | 'requests' | 'limit' | 'duration'>
  readonly server: ServerSizes
}

const full: Sizes = {
  processes: { processes: 8, requests: 50_000, limit: 200_000, duration: 8000 },
  server: { limit: 10_000, requests: 20_000, pace: 2500 },
}
const quick: Sizes = {
  processes: { processes: 4, requests: 10_000, limit: 20_000, duration: 2500 },
  server: { limit: 2000, requests: 5000, pace: 1000 },
}

type Row = { readonly store: Kind; readonly killed: boolean; readonly verdict: string } & (
  | ({ readonly of: 'processes'; readonly pattern: Pattern } & SimulationResult)
  | ({ readonly of: 'server' } & ServerResult)
)

const heads = {
  processes: ['store', 'demand', 'killed', 'asked', 'admitted', 'missing', 'held by the killed', 'refused', 'store calls', 's', ''],
  server: ['store', 'killed', 'asked', '200', 'missing', '429', 'other', 'cut off', ''],
}

function print(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`)
}

function title(line: string, head: readonly string[]): void {
  process.stdout.write(`\n${line}\n\n`)
  print(head)
  print(head.map(() => '---'))
}

async function ofProcesses(store: Kind, { backend }: Place, sizes: Sizes['processes']): Promise<Row[]> {
  const rows: Row[] = []
  for (const pattern of ['even', 'skewed'] as const) {
    for (const kill of [false, true]) {
      const options: SimulationOptions = { ...sizes, backend, pattern, kill }
      const result = await simulate(options)
      const verdict = broken(options, result) ?? 'kept'
      const { asked, admitted, outstanding, refused, calls, elapsed } = result
      const held = kill ? outstanding : ''
      const reported = [store, pattern, kill ? 'one' : '', asked, admitted, sizes.limit - admitted, held, refused, calls]
      print([...reported, (elapsed / 1000).toFixed(1), verdict])
      rows.push({ of: 'processes', store, pattern, killed: kill, verdict, ...result })
    }
  }
  return rows
}

async function ofServer(store: Kind, place: Place, sizes: ServerSizes): Promise<Row[]> {
  const rows: Row[] = []
  for (const kill of [false, true]) {
    const result = await simulateServer(place, sizes, kill)
    const { asked, admitted, refused, other, cutOff } = result
    const isKept = kill ? admitted <= sizes.limit : admitted === sizes.limit
    const verdict = isKept ? 'kept' : `${admitted} of ${sizes.limit}`
    print([store, kill ? 'one' : '', asked, admitted, sizes.limit - admitted, refused, other, cutOff, verdict])
    rows.push({ of: 'server', store, killed: kill, verdict, ...result })
  }
  return rows
}

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const valueOf = (flag: string) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined)
  const sizes = args.includes('--quick') ? quick : full
  const wanted = kinds.filter((kind) => valueOf('--only')?.split(',').includes(kind) ?? true)
  const rows: Row[] = []
  const { processes, server } = sizes
  const each = async (run: (kind: Kind, place: Place) => Promise<Row[]>): Promise<void> => {
    for (const kind of wanted) {
      await using place = await startPlace(kind)
      rows.push(...(await run(kind, place)))
    }
  }
  const asked = `${processes.requests} requests each on average, over ${processes.duration / 1000} s`
  title(`${processes.processes} processes, ${asked}; limit ${processes.limit}`, heads.processes)
  await each((kind, place) => ofProcesses(kind, place, processes))
  title(`The server with 4 workers, 4 clients, ${server.requests} requests; limit ${server.limit}`, heads.server)
  await each((kind, place) => ofServer(kind, place, server))
  const hotPath = await measureHotPath()
  process.stdout.write(`\nReserve and settle of 4 counters, leases at hand: ${hotPath.toFixed(2)} µs (median of ten rounds).\n`)
  const out = valueOf('--json')
  const json = JSON.stringify({ date: new Date().toISOString(), sizes, rows, hotPathMicroseconds: hotPath }, null, 2)
  if (out) await writeFile(out, `${json}\n`)
  else process.stdout.write(`\n${json}\n`)
  return rows.every(({ verdict }) => verdict === 'kept') ? 0 : 1
}

process.exitCode = await main()
