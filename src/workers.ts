import type { Config } from './config/config.ts'
import { workerVariable } from './runtime/parent.ts'
import { startWorker, type WorkerMessage, type WorkerProcess } from './runtime/worker-process.ts'
import { listenOrExplain } from './server.ts'
import type { Events } from './telemetry/events.ts'
import { defaultTelemetry } from './telemetry/config.ts'
import type { Log } from './telemetry/logger.ts'
import { WorkerPoolMetrics } from './telemetry/metrics/worker-metrics.ts'
import { definitionsOf } from './telemetry/metrics/definitions.ts'
import { sleep, within } from './timing.ts'

/** Set in workers: provider id → what goes over its configuration, as JSON. */
const overridesVariable = 'CORRAL_WORKER_PARTS'

interface SuperviseOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly events: Events
  readonly log: Log
  /** Aborts with the reason to stop; `stopped` resolves with it. */
  readonly stop: AbortSignal
  readonly stopped: Promise<string>
  readonly onServing?: ((serving: WorkerMessage) => void) | undefined
}

/** Milliseconds after which a worker counts as stable: its exit then resets the count of failures. */
const stableAfter = 10_000
/** Consecutive failures after which the supervisor gives up. */
const maxFailures = 5
/** Milliseconds before the first restart; doubled each time. */
const firstBackoff = 100
/** Milliseconds within which a signal to a process group reaches all of its processes. */
const signalDelay = 500
/** Seconds after the drain timeout until workers are killed. */
const killGrace = 10

/** Runs `server.workers` processes on one port until stopped. Resolves with the exit code. */
export async function supervise(config: Config, options: SuperviseOptions): Promise<0 | 1> {
  await assertPortFree(config)
  await using parts = new AsyncDisposableStack()
  const overrides: Record<string, unknown> = {}
  for (const { id, definition, config: settings } of config.providers) {
    const part = await definition.startShared?.(settings, { id, log: options.log.child({ category: 'providers', provider: id }) })
    if (part) overrides[id] = parts.use(part).overrides
  }
  if (options.stop.aborted) {
    options.events.stoppedEarly(await options.stopped)
    return 0
  }
  const env = { ...options.env, [overridesVariable]: JSON.stringify(overrides) }
  return await new WorkerPool(config, { ...options, env }).run()
}

/** For a worker: its configuration, pointed at the parts that its supervisor holds. */
export function withSharedOverrides(config: Config, env: SuperviseOptions['env']): Config {
  const overrides = JSON.parse(env[overridesVariable] ?? '{}') as Record<string, object | undefined>
  const providers = config.providers.map((entry) => {
    const override = overrides[entry.id]
    return override ? { ...entry, config: { ...(entry.config as object), ...override } } : entry
  })
  return { ...config, providers }
}

/** Shared ports are shared with whatever process of this user asks for it, another Corral too: so look first. */
async function assertPortFree({ server }: Config): Promise<void> {
  if (server.port === 0) return
  const hostname = server.host === undefined || server.host === 'localhost' ? '127.0.0.1' : server.host
  await listenOrExplain({ port: server.port, hostname, fetch: async () => new Response(null, { status: 503 }) }).stop()
}

class WorkerPool {
  readonly #config: Config
  readonly #options: SuperviseOptions
  readonly #alive = new Map<number, WorkerProcess>()
  readonly #metrics: WorkerPoolMetrics
  readonly #done = Promise.withResolvers<0 | 1>()
  #port: number
  #failures = 0
  #stopping = false

  constructor(config: Config, options: SuperviseOptions) {
    this.#config = config
    this.#options = options
    this.#port = config.server.port
    this.#metrics = new WorkerPoolMetrics(definitionsOf((config.telemetry ?? defaultTelemetry).conventions))
  }

  async run(): Promise<0 | 1> {
    const { stopped, onServing } = this.#options
    // An abrupt exit (a second Ctrl+C) ends the workers too.
    process.once('exit', () => {
      for (const worker of this.#alive.values()) worker.kill('SIGKILL')
    })
    // No grace for load balancers when stopped from a terminal.
    void stopped.then((why) => this.#stop(why === 'SIGTERM' ? 'SIGTERM' : 'SIGINT'))
    // The first one alone: it takes the port, when any free one will do, and it meets what is wrong with the configuration.
    const first = this.#start(0)
    const serving = await Promise.race([first.listening, first.exited.then(() => undefined), stopped.then(() => undefined)])
    if (!serving) {
      const { code, signal } = await first.exited
      // A signal to the whole process group can end a worker in its first moments before this process has seen its own.
      if (signal !== null) await within(signalDelay, stopped, undefined)
      return this.#stopping || code === 0 ? 0 : 1
    }
    this.#port = serving.port
    this.#watch(0, first)
    const others = Array.from({ length: this.#config.server.workers - 1 }, (_, at) => this.#launch(at + 1))
    await Promise.race([Promise.all(others.map(({ listening }) => listening)), this.#done.promise])
    if (!this.#stopping) onServing?.(serving)
    return this.#done.promise
  }

  #start(index: number): WorkerProcess {
    const { env, events } = this.#options
    const worker = startWorker({ ...env, [workerVariable]: `${index}/${this.#port}` })
    this.#alive.set(index, worker)
    void worker.exited.then(this.#metrics.add(worker.channel))
    events.workerStarted(index, worker.pid)
    return worker
  }

  #launch(index: number): WorkerProcess {
    const worker = this.#start(index)
    this.#watch(index, worker)
    return worker
  }

  #watch(index: number, worker: WorkerProcess): void {
    const startedAt = performance.now()
    void this.#whenGone(index, worker, startedAt)
  }

  async #whenGone(index: number, worker: WorkerProcess, startedAt: number): Promise<void> {
    const { code, signal } = await worker.exited
    const { events } = this.#options
    this.#alive.delete(index)
    if (this.#stopping) return this.#endIfAlone()
    const how = signal ?? `exit code ${code}`
    this.#failures = performance.now() - startedAt > stableAfter ? 1 : this.#failures + 1
    if (this.#failures >= maxFailures) {
      events.workerDied(index, `${how}; ${maxFailures} in a row did not live: giving up`)
      return this.#stop('SIGTERM')
    }
    const pause = firstBackoff * 2 ** (this.#failures - 1)
    events.workerDied(index, how, pause)
    await sleep(pause)
    if (!this.#stopping) this.#launch(index)
  }

  #endIfAlone(): void {
    if (this.#alive.size === 0) this.#done.resolve(this.#failures >= maxFailures ? 1 : 0)
  }

  #stop(signal: 'SIGTERM' | 'SIGINT'): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#endIfAlone()
    for (const worker of this.#alive.values()) worker.kill(signal)
    const { drainTimeout, drainGrace = 1 } = this.#config.server
    setTimeout(
      () => {
        for (const worker of this.#alive.values()) worker.kill('SIGKILL')
      },
      (drainTimeout + drainGrace + killGrace) * 1000,
    ).unref()
  }
}
