import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { load, startMock } from './native.ts'
import { concurrency } from './plan.ts'
import { bun, candidates, start } from './servers.ts'

const folder = join(import.meta.dirname, '.cache', 'profile')
const root = join(import.meta.dirname, '..')
const seconds = 8
const shown = 30

/** A profile as V8 and JavaScriptCore write it; times in microseconds. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Loads Corral (`of`: as which candidate) under the sampling profiler and returns a table of where its main thread's time went, itself and with what it called. */
export async function profile(pattern: string, of = 'corral'): Promise<string> {
  if (pattern !== 'plain' && pattern !== 'burst' && pattern !== 'paced')
    throw new Error(`--profile takes plain, burst or paced, not '${pattern}'.`)
  const corral = candidates.find(({ name }) => name === of)
  if (!corral) throw new Error(`There is no '${of}' here: ${candidates.map(({ name }) => name).join(', ')}.`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const profiled: typeof corral = {
    ...corral,
    command(port, upstream) {
      return [bun, '--cpu-prof', `--cpu-prof-dir=${folder}`, ...corral.command(port, upstream).slice(1)]
    },
  }
  const mock = await startMock()
  try {
    const server = await start({ candidate: profiled, version: corral.install() }, mock.url)
    const { url, headers } = server
    await load({ url, headers, pattern, model: corral.model ?? '', concurrency: concurrency[pattern], seconds })
    // The profile is written at the end of the process.
    await server.stop('SIGTERM')
  } finally {
    mock.stop()
  }
  const [file] = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))
  if (!file) throw new Error(`The profiler left nothing in ${folder}.`)
  return table(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile)
}

function add(sums: Map<string, number>, key: string, time: number): void {
  sums.set(key, (sums.get(key) ?? 0) + time)
}

function table({ nodes, samples, timeDeltas }: CpuProfile): string {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child): [number, number] => [child, id])))
  const name = (id: number): string => {
    const { functionName, url, lineNumber } = byId.get(id)!.callFrame
    const file = url.replace('file://', '').replace(`${root}/`, '')
    return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`
  }
  const own = new Map<string, number>()
  const whole = new Map<string, number>()
  samples.forEach((id, index) => {
    const time = timeDeltas[index] ?? 0
    add(own, name(id), time)
    const callers = new Set<string>()
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) callers.add(name(at))
    for (const caller of callers) add(whole, caller, time)
  })
  const total = timeDeltas.reduce((sum, time) => sum + time, 0)
  const lines = (sums: Map<string, number>) =>
    [...sums]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, shown)
      .map(([key, time]) => `${((100 * time) / total).toFixed(1).padStart(5)} %  ${key}`)
  return ['By itself:', ...lines(own), '', 'With what it called:', ...lines(whole), ''].join('\n')
}
