// `npm run bench [-- --quick | --rounds 3 | --minutes 10 | --only corral,portkey | --only fairness | --profile plain | --against ../other-checkout]`: see README.md beside this file.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { measureFairness } from './fairness/main.ts'
import { fairnessMarkdown, fairnessTargets } from './fairness/report.ts'
import { type Held, hold, type Kind, measure, measureDirect, memory, type Memory, type Sample, soak, type Soak } from './measure.ts'
import { buildNative, coldStart, loadCore, startMock } from './native.ts'
import { type Plan, plans } from './plan.ts'
import { rssBytes } from './processes.ts'
import { profile } from './profile.ts'
import { median, type Results, type ServerResult, type Target } from './figures.ts'
import { comparison, machine, markdown, targets } from './report.ts'
import {
  type Candidate,
  candidates,
  comparedCandidates,
  comparedPairs,
  freePort,
  type Installed,
  start,
  type UnderTest,
} from './servers.ts'

const here = import.meta.dirname
const kinds: readonly Kind[] = ['plain', 'burst', 'paced', 'rate']

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Minutes of load on Corral alone after the rounds, for its memory; with `--only` also on those of its servers named there that trace. */
    minutes: { type: 'string', default: '0' },
    /** In place of the plan's. */
    rounds: { type: 'string' },
    /** Names of candidates, separated by commas; default all. `fairness`: that part alone, which is not in the others. */
    only: { type: 'string' },
    /** A pattern: no measuring, but where Corral's time goes under it; `--only` says as which candidate. */
    profile: { type: 'string' },
    /** The folder of another checkout, installed: its ungoverned and governed server beside this one's, as ratios. */
    against: { type: 'string' },
  },
})

const tell = (line: string): void => void process.stderr.write(`${line}\n`)

/** Whatever cannot be installed is left out, with the reason; Corral and the bare relay need nothing. */
function install(): { installed: Installed[]; leftOut: Record<string, string> } {
  const installed: Installed[] = []
  const leftOut: Record<string, string> = {}
  const wanted = options.only?.split(',')
  for (const candidate of options.against === undefined ? candidates : comparedCandidates(resolve(options.against))) {
    if (wanted && !wanted.includes(candidate.name)) continue
    try {
      tell(`install: ${candidate.name}`)
      installed.push({ candidate, version: candidate.install() })
    } catch (error) {
      leftOut[candidate.name] = error instanceof Error ? error.message : String(error)
      tell(`install: ${candidate.name} is left out: ${leftOut[candidate.name]}`)
    }
  }
  return { installed, leftOut }
}

async function startAll(installed: readonly Installed[], leftOut: Record<string, string>, upstream: string): Promise<UnderTest[]> {
  const servers: UnderTest[] = []
  for (const one of installed) {
    const { candidate, version } = one
    try {
      servers.push(await start(one, upstream))
      tell(`start: ${candidate.name} ${version}`)
    } catch (error) {
      leftOut[candidate.name] = error instanceof Error ? error.message : String(error)
      tell(`start: ${candidate.name} is left out: ${leftOut[candidate.name]}`)
    }
  }
  return servers
}

async function coldStarts({ candidate }: Installed, plan: Plan, upstream: string): Promise<number[]> {
  const times: number[] = []
  for (let count = 0; count < plan.starts; count++) {
    const port = await freePort()
    const command = candidate.command(port, upstream)
    times.push(await coldStart(`127.0.0.1:${port}`, { path: candidate.health, command, env: candidate.env?.(port, upstream) ?? {} }))
  }
  return times
}

async function rounds(
  servers: readonly UnderTest[],
  plan: Plan,
  upstream: string,
): Promise<{ samples: Map<UnderTest, Sample[]>; direct: Sample[] }> {
  const samples = new Map<UnderTest, Sample[]>(servers.map((server) => [server, []]))
  const direct: Sample[] = []
  for (let round = 0; round < plan.rounds; round++) {
    direct.push(await measureDirect(`${upstream}/v1/chat/completions`, { plan, round }))
    for (const kind of kinds) {
      // Each round begins with a different server: the first one is affected by the end of the previous round.
      for (let place = 0; place < servers.length; place++) {
        const server = servers[(place + round) % servers.length]!
        samples.get(server)!.push(reported(server, await measure(server, kind, { plan, round })))
      }
    }
  }
  for (const server of servers) await halves(server, { servers, samples, plan })
  return { samples, direct }
}

function reported(server: UnderTest, sample: Sample): Sample {
  const { kind, round, requests, errors, error = '', perSecond, cpuMicros, accounts } = sample
  const spans = accounts?.made === undefined ? '' : `, ${accounts.received} of ${accounts.made} spans`
  tell(
    `round ${round + 1} ${kind.padEnd(5)} ${server.candidate.name.padEnd(22)} ${cpuMicros.toFixed(2).padStart(9)} µs  ` +
      `${perSecond.toFixed(0).padStart(6)}/s  ${requests} requests${spans}, ${errors} errors ${error}`,
  )
  return sample
}

interface Measured {
  readonly servers: readonly UnderTest[]
  readonly samples: ReadonlyMap<UnderTest, Sample[]>
  readonly plan: Plan
}

/** Half of a server's saturation, alternating between it and the server that it is compared with. */
async function halves(server: UnderTest, { servers, samples, plan }: Measured): Promise<void> {
  const beside = servers.find(({ candidate }) => candidate.name === server.candidate.addedTo)
  const saturated = samples.get(server)!.filter(({ kind, requests }) => kind === 'plain' && requests > 0)
  if (!beside || saturated.length === 0) return
  const rate = Math.round(median(saturated.map(({ perSecond }) => perSecond)) / 2)
  for (let round = 0; round < plan.rounds; round++) {
    for (const one of round % 2 === 0 ? [beside, server] : [server, beside])
      samples.get(one)!.push(reported(one, await measure(one, 'half', { plan, round, rate })))
  }
}

async function main(): Promise<void> {
  const defaults = options.quick ? plans.quick : plans.full
  const plan = options.rounds === undefined ? defaults : { ...defaults, rounds: Number(options.rounds) }
  if (process.platform !== 'linux' || cpus().length < 2)
    throw new Error('The bench needs Linux and two cores: it pins with taskset and reads /proc.')
  mkdirSync(join(here, '.cache'), { recursive: true })
  const goVersion = buildNative()
  if (options.profile !== undefined) {
    process.stdout.write(await profile(options.profile, options.only))
    return
  }
  if (options.only === 'fairness') return fairness(goVersion)
  const { installed, leftOut } = install()
  execFileSync('taskset', ['-cp', loadCore, String(process.pid)], { stdio: 'ignore' })
  const about = machine(goVersion)
  const mock = await startMock()
  const servers: UnderTest[] = []
  try {
    const cold = new Map<Candidate, number[]>()
    for (const one of installed) {
      tell(`cold start: ${one.candidate.name}`)
      if (!one.candidate.aside && one.candidate.name !== 'litellm') cold.set(one.candidate, await coldStarts(one, plan, mock.url))
    }
    servers.push(...(await startAll(installed, leftOut, mock.url)))
    const idle = new Map(servers.map((server) => [server, rssBytes(server.pid)]))
    const { samples, direct } = await rounds(servers, plan, mock.url)
    const after = new Map<UnderTest, Memory>()
    for (const server of servers) after.set(server, await memory(server, idle.get(server)!))
    const holds = new Map<UnderTest, Held>()
    for (const server of servers) {
      if (options.against !== undefined || server.candidate.aside || !(plan.holdAll || server.candidate.name === 'corral')) continue
      tell(`hold: ${server.candidate.name}`)
      holds.set(server, await hold(server))
    }
    const minutes = Number(options.minutes)
    const soaks = new Map<UnderTest, Soak>()
    for (const server of minutes > 0 ? servers : []) {
      if (isSoaked(server.candidate)) soaks.set(server, await soak(server, minutes, tell))
    }
    const results: Results = {
      date: new Date().toISOString().slice(0, 10),
      plan: plan.name,
      machine: about,
      servers: servers.map((server): ServerResult => {
        const { name, about: what, aside = false } = server.candidate
        const [held, soaked] = [holds.get(server), soaks.get(server)]
        return {
          name,
          about: what,
          version: server.version,
          aside,
          samples: samples.get(server)!,
          memory: after.get(server)!,
          cold: cold.get(server.candidate) ?? [],
          ...(held && { held }),
          ...(soaked && { soak: soaked }),
        }
      }),
      direct,
      leftOut,
    }
    if (options.against === undefined) publish(results, plan)
    else process.stdout.write(`${comparison(results, comparedPairs)}\n`)
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    mock.stop()
  }
}

/** Fairness: five minutes; written to the README and results.json unless quick or with other rounds. */
async function fairness(goVersion: string): Promise<void> {
  execFileSync('taskset', ['-cp', loadCore, String(process.pid)], { stdio: 'ignore' })
  const about = machine(goVersion)
  const mock = await startMock()
  try {
    const results = await measureFairness({ rounds: options.quick ? 1 : Number(options.rounds ?? 3), mock, machine: about, tell })
    const table = fairnessMarkdown(results)
    process.stdout.write(`${table}\n`)
    const counts = !options.quick && options.rounds === undefined
    writeResults(counts ? 'results.json' : '.cache/results.json', { fairness: results })
    if (counts) writeIntoReadme('fairness', table)
    tellMissed(fairnessTargets(results))
  } finally {
    mock.stop()
  }
}

/** Minutes of load are for Corral; servers with tracing only if chosen by name. */
function isSoaked({ name, telemetry }: Candidate): boolean {
  return name === 'corral' || (telemetry !== undefined && options.only !== undefined)
}

/** Only a full run of all is written to the README. */
function publish(results: Results, plan: Plan): void {
  const table = markdown(results)
  process.stdout.write(`${table}\n`)
  const counts = plan.name === 'full' && options.only === undefined && options.rounds === undefined
  writeResults(counts ? 'results.json' : '.cache/results.json', { ...results })
  if (counts) writeIntoReadme('results', table)
  tellMissed(targets(results))
}

/** Writes a part of the results and leaves the others as they are. */
function writeResults(name: string, part: object): void {
  const path = join(here, name)
  const others = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as object) : {}
  writeFileSync(path, `${JSON.stringify({ ...others, ...part }, undefined, 1)}\n`)
}

/** Replaces the text between the marks of a part. */
function writeIntoReadme(part: string, table: string): void {
  const readme = join(here, 'README.md')
  const [open, close] = [`<!-- ${part} -->`, `<!-- end of ${part} -->`]
  const text = readFileSync(readme, 'utf8')
  const [before, rest] = text.split(open)
  const behind = rest?.split(close)[1]
  if (before === undefined || behind === undefined) throw new Error(`bench/README.md has lost the marks of its part '${part}'.`)
  writeFileSync(readme, `${before}${open}\n${table}\n${close}${behind}`)
}

function tellMissed(all: readonly Target[]): void {
  const missed = all.filter(({ met }) => met === false)
  tell(
    missed.length === 0
      ? 'All targets that were measured are met.'
      : `Missed: ${missed.map(({ what, measured }) => `${what}: ${measured}`).join('; ')}`,
  )
}

await main().catch((error: unknown) => {
  tell(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
})
