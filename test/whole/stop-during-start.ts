// `node bin/bun.js test/whole/stop-during-start.ts [SIGTERM|SIGINT] [moments]`: sends a signal at moments spread over the start, to one
// process and to three workers, and prints a table. Exits with 1 when a row is not as docs/deployment.md says. By hand and in `.ci/run`.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const launcher = new URL('../../bin/corral.js', import.meta.url).pathname
const [signal = 'SIGTERM', count = '30'] = process.argv.slice(2) as [NodeJS.Signals?, string?]
const defaultCode = signal === 'SIGINT' ? 130 : 143
const drainTimeout = 5
/** Milliseconds after the end in which a port could still open. */
const watched = 300

interface Row {
  readonly after: number
  readonly output: string
  readonly code: number | null
  readonly took: number
  readonly survivors: boolean
  readonly port: boolean
}

interface Start {
  readonly folder: string
  readonly workers: number
  readonly port: number
}

function start({ folder, workers, port }: Start) {
  const file = join(folder, 'run.yaml')
  const embedded = {
    provider_id: 'llama-cpp',
    provider_type: 'inline::llama-cpp',
    config: { models_dir: join(folder, 'm'), auto_pull: false },
  }
  const server = { port, workers, drain_grace_seconds: 0, drain_timeout_seconds: drainTimeout }
  writeFileSync(file, JSON.stringify({ version: 2, providers: { inference: [embedded] }, server }))
  const env = { ...process.env, CORRAL_HOME: folder }
  const child = spawn('node', [launcher, 'run', file], { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env })
  const seen = { output: '', served: Promise.withResolvers<void>() }
  const read = (data: Buffer) => {
    seen.output += data.toString()
    if (seen.output.includes('Corral serves http')) seen.served.resolve()
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const exited = new Promise<number | null>((resolve) => {
    // As a shell reports it.
    child.on('exit', (code, by) => resolve(by === null ? code : 128 + constants.signals[by]))
  })
  return { child, seen, exited }
}

async function stopAfter(after: number, options: Start): Promise<Row> {
  const { child, seen, exited } = start(options)
  await sleep(after)
  const output = seen.output
  const sentAt = performance.now()
  child.kill(signal)
  const hard = setTimeout(() => killGroup(child.pid ?? 0), (drainTimeout + 20) * 1000)
  const code = await exited
  clearTimeout(hard)
  const took = performance.now() - sentAt
  const survivors = groupExists(child.pid ?? 0)
  let port = await isOpen(options.port)
  await sleep(watched)
  port ||= await isOpen(options.port)
  killGroup(child.pid ?? 0)
  return { after, output, code, took, survivors, port }
}

function groupExists(pid: number): boolean {
  try {
    process.kill(-pid, 0)
    return true
  } catch {
    return false
  }
}

function killGroup(pid: number): void {
  if (groupExists(pid)) process.kill(-pid, 'SIGKILL')
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => (socket.destroy(), resolve(true)))
    socket.on('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function isRight({ output, code, took, survivors, port }: Row): boolean {
  const codes = output === '' ? [0, defaultCode] : [0]
  return code !== null && codes.includes(code) && took < drainTimeout * 1000 && !survivors && !port
}

/** The state of the start in one word, from its output. */
function stage(output: string): string {
  if (output.includes('Corral serves http')) return 'serving'
  const workers = output.match(/worker started/g)?.length ?? 0
  return output === '' ? 'no output' : workers > 0 ? `${workers} started` : 'some output'
}

async function main(): Promise<number> {
  let wrong = 0
  for (const workers of [1, 3]) {
    const folder = mkdtempSync(join(tmpdir(), 'corral-stop-'))
    try {
      const options = { folder, workers, port: await freePort() }
      const startedAt = performance.now()
      const whole = start(options)
      await whole.seen.served.promise
      const time = performance.now() - startedAt
      whole.child.kill('SIGTERM')
      await whole.exited
      process.stdout.write(`\n${workers} ${workers > 1 ? 'workers' : 'process'}: serves after ${time.toFixed(0)} ms; ${signal}\n`)
      process.stdout.write('at ms   seen         code  ended ms  survivors  port   \n')
      for (let at = 0; at < Number(count); at++) {
        const row = await stopAfter(Math.round((1.1 * time * (at + 1)) / Number(count)), options)
        const right = isRight(row)
        if (!right) wrong++
        const cells = [
          String(row.after).padStart(5),
          stage(row.output).padEnd(11),
          String(row.code).padStart(5),
          row.took.toFixed(0).padStart(8),
          (row.survivors ? 'YES' : 'none').padEnd(9),
          row.port ? 'OPEN' : 'closed',
          right ? '' : 'WRONG',
        ]
        process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  process.stdout.write(`\n${wrong} of ${2 * Number(count)} wrong\n`)
  return wrong === 0 ? 0 : 1
}

process.exitCode = await main()
