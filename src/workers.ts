import type { Config } from './config/config.ts'
import { startWorker, type WorkerMessage, type WorkerProcess } from './runtime/worker-process.ts'
import { listenOrExplain } from './server.ts'
import type { Events } from './telemetry/events.ts'

/** Something that exists once for all workers: the process of the embedded model. */
export interface OwnedPart {
  readonly name: string
  /** Starts it, without waiting until it is useful. `env` tells the workers where it is. */
  start(): Promise<{ readonly env: Readonly<Record<string, string>> }>
  stop(): Promise<void>
}

export interface SuperviseOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly workerVariable: string
  readonly events: Events
  /** Resolves with the reason to stop. */
  readonly stopped: Promise<string>
  readonly onServing?: ((serving: WorkerMessage) => void) | undefined
  readonly owned?: readonly OwnedPart[] | undefined
}

/** A worker that lived for so many milliseconds was well: its death starts the count of failures anew. */
const wellAfter = 10_000
/** So many deaths one after another, none of them after a life that was well, and the supervisor gives up. */
const mostFailures = 5
/** Milliseconds before the first restart; doubled each time. */
const firstBackoff = 100
/** Seconds that workers get beyond the drain's own times before they are killed. */
const lastMoments = 10

/** Runs `server.workers` processes on one port until told to stop. Resolves with the exit code. */
export async function supervise(config: Config, options: SuperviseOptions): Promise<0 | 1> {
  const { events, owned = [] } = options
  await refuseTakenPort(config)
  const started: OwnedPart[] = []
  try {
    let env = options.env
    for (const part of owned) {
      env = { ...env, ...(await part.start()).env }
      started.push(part)
    }
    return await new Crew(config, { ...options, env }).run()
  } finally {
    for (const part of started.toReversed()) {
      await part.stop().catch((error: unknown) => events.unexpected(`stopping ${part.name}`, error))
    }
  }
}

/** Shared ports are shared with whatever process of this user asks for it, another Corral too: so look first. */
async function refuseTakenPort({ server }: Config): Promise<void> {
  if (server.port === 0) return
  const hostname = server.host === undefined || server.host === 'localhost' ? '127.0.0.1' : server.host
  await listenOrExplain({ port: server.port, hostname, fetch: async () => new Response(null, { status: 503 }) }).stop()
}

class Crew {
  readonly #config: Config
  readonly #options: SuperviseOptions
  readonly #alive = new Map<number, WorkerProcess>()
  readonly #over = Promise.withResolvers<0 | 1>()
  #port: number
  #failures = 0
  #stopping = false

  constructor(config: Config, options: SuperviseOptions) {
    this.#config = config
    this.#options = options
    this.#port = config.server.port
  }

  async run(): Promise<0 | 1> {
    const { stopped, onServing } = this.#options
    // Ended in the middle of the work (a second Ctrl+C), it takes its workers with it.
    process.once('exit', () => {
      for (const worker of this.#alive.values()) worker.kill('SIGKILL')
    })
    void stopped.then(() => this.#stop())
    // The first one alone: it takes the port, when any free one will do, and it meets what is wrong with the configuration.
    const first = this.#start(0)
    const serving = await Promise.race([first.listening, first.exited.then(() => undefined), stopped.then(() => undefined)])
    if (!serving) {
      this.#stopping = true
      first.kill('SIGTERM')
      return (await first.exited).code === 0 ? 0 : 1
    }
    this.#port = serving.port
    this.#watch(0, first)
    const others = Array.from({ length: this.#config.server.workers - 1 }, (_, at) => this.#launch(at + 1))
    await Promise.race([Promise.all(others.map(({ listening }) => listening)), this.#over.promise])
    if (!this.#stopping) onServing?.(serving)
    return this.#over.promise
  }

  #start(index: number): WorkerProcess {
    const { env, workerVariable, events } = this.#options
    const worker = startWorker({ ...env, [workerVariable]: `${index}/${this.#port}` })
    this.#alive.set(index, worker)
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
    this.#failures = performance.now() - startedAt > wellAfter ? 1 : this.#failures + 1
    if (this.#failures >= mostFailures) {
      events.workerDied(index, `${how}; ${mostFailures} in a row did not live: giving up`)
      return this.#stop()
    }
    const pause = firstBackoff * 2 ** (this.#failures - 1)
    events.workerDied(index, how, pause)
    await new Promise((resolve) => setTimeout(resolve, pause))
    if (!this.#stopping) this.#launch(index)
  }

  #endIfAlone(): void {
    if (this.#alive.size === 0) this.#over.resolve(this.#failures >= mostFailures ? 1 : 0)
  }

  #stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#endIfAlone()
    for (const worker of this.#alive.values()) worker.kill('SIGTERM')
    const { drainTimeout, drainGrace = 1 } = this.#config.server
    setTimeout(
      () => {
        for (const worker of this.#alive.values()) worker.kill('SIGKILL')
      },
      (drainTimeout + drainGrace + lastMoments) * 1000,
    ).unref()
  }
}
