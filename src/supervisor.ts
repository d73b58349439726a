import { systemCall } from './call.ts'
import type { Config } from './config/config.ts'
import { launcherVariable, onProcessExit, workerVariable } from './runtime/parent.ts'
import { listenForStop, signalExitCodes, whenAborted } from './runtime/stop-signals.ts'
import { supervisorChannel, whenSupervisorExits, notifySupervisor } from './runtime/worker-process.ts'
import { type RunningServer, StartError, startServer, type StartOptions } from './server.ts'
import type { Model } from './schemas/models.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog, type Log, LogFileError } from './telemetry/logger.ts'
import { joinWorkerPool } from './telemetry/metrics/worker-metrics.ts'
import { supervise, withSharedOverrides } from './workers.ts'
import { sleep } from './timing.ts'

/** The running server. */
export interface Serving {
  /** Where to reach it, e.g. `http://127.0.0.1:8321`; the first is the one to show. */
  readonly urls: readonly string[]
  readonly port: number
  /** The models listed so far. Absent where workers serve. */
  models?(): Promise<readonly Model[]>
}

interface ServeOptions {
  /** The environment this process was started with; workers get it too. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts, with the signal's name as its reason, when SIGTERM or SIGINT asks the process to stop; also during start-up. */
  readonly signal: AbortSignal
  /** Called once the server listens. Not in workers: their supervisor reports. */
  readonly onServing?: (serving: Serving) => void
}

/**
 * Serves a configuration until a signal stops it, as the whole of a process: alone, or (`server.workers` above 1, Linux) as the
 * supervisor of workers, or as one of those. Resolves with the exit code: 0 after a clean stop, 1 when workers would not live.
 * SIGTERM, SIGINT (`options.signal`) and SIGHUP drain, or end the start; a second SIGHUP, a second later, ends the process at once.
 * Throws StartError.
 *
 * A failure that no request waits for (an unhandled rejection, an exception in a callback) is logged and the process goes on: ending it
 * would let one caller's bad luck break every other caller's stream.
 */
export async function serve(config: Config, options: ServeOptions): Promise<0 | 1> {
  const log = openLog(config.logging)
  try {
    return await serveWith(log, config, options)
  } finally {
    await log.close?.()
  }
}

function openLog(logging: Config['logging']): Log {
  try {
    return createLog(logging)
  } catch (error) {
    if (error instanceof LogFileError) throw new StartError(error.message, 'Name another in CORRAL_LOG_FILE, or make its folder.', error)
    throw error
  }
}

async function serveWith(log: Log, config: Config, options: ServeOptions): Promise<0 | 1> {
  const events = createEvents(log)
  using cleanup = new DisposableStack()
  cleanup.use(logFailures(events))
  const isWorker = options.env[workerVariable] !== undefined
  const stop = new AbortController()
  const stopped = whenAborted(stop.signal).then(String)
  cleanup.use(
    listenForStop(['SIGHUP'], {
      first: (signal) => stop.abort(signal),
      again: (signal) => isWorker || process.exit(signalExitCodes[signal]),
    }),
  )
  void whenAborted(options.signal).then((reason) => stop.abort(reason))
  void whenParentExits(options.env).then((why) => stop.abort(why))
  const run: ProcessContext = { stop: stop.signal, stopped, log, events }
  if (isWorker) return await serveAsWorker(config, options.env, run)

  if (config.server.workers > 1 && process.platform === 'linux') {
    return await supervise(config, { ...options, ...run })
  }
  if (config.server.workers > 1) {
    events.warning(`server.workers is ${config.server.workers}: several processes share a port on Linux only; serving with one`)
  }
  const server = await startUnlessStopped(config, {}, run)
  if (!server) return 0
  const { urls, port, services } = server
  if (!stop.signal.aborted) {
    options.onServing?.({ urls, port, models: () => services.models.list(systemCall('start', new AbortController().signal)) })
  }
  await stopOn(await stopped, server)
  return 0
}

/** What the parts of one process share. */
interface ProcessContext {
  /** Aborts with the reason to stop. */
  readonly stop: AbortSignal
  /** Resolves with the same reason. */
  readonly stopped: Promise<string>
  readonly log: Log
  readonly events: Events
}

/** Milliseconds for an aborted start to clean up. */
const abortedStartTimeout = 3000

/** Undefined where the reason to stop came before the port was open. What does not return in time ends with the process. */
async function startUnlessStopped(
  config: Config,
  options: StartOptions,
  { stop, stopped, log, events }: ProcessContext,
): Promise<RunningServer | undefined> {
  const tooLate = stopped.then(() => sleep(abortedStartTimeout)).then(() => undefined)
  let server: RunningServer | undefined
  try {
    if (!stop.aborted) server = await Promise.race([startServer(config, { ...options, log, signal: stop }), tooLate])
  } catch (error) {
    if (!stop.aborted) throw error
  }
  if (!server) events.stoppedEarly(await stopped)
  return server
}

/** A load balancer needs time to react to SIGTERM; at a terminal, draining starts at once. */
async function stopOn(why: string, server: RunningServer): Promise<void> {
  await server.drain({ why, ...(why !== 'SIGTERM' && { grace: 0 }) })
}

/**
 * A worker loads the configuration by itself, from the same arguments and environment, so that no secret is written anywhere on the way.
 * It drains on any number of signals, and when its supervisor is gone.
 */
async function serveAsWorker(config: Config, env: ServeOptions['env'], run: ProcessContext): Promise<0> {
  const [index, port] = (env[workerVariable] ?? '').split('/')
  const options = { port: Number(port) || undefined, sharePort: true, name: `worker-${index}` }
  const server = await startUnlessStopped(withSharedOverrides(config, env), options, run)
  if (!server) return 0
  if (server.services.metrics) joinWorkerPool(server.services.metrics, supervisorChannel())
  notifySupervisor({ corral: 'listening', urls: server.urls, port: server.port })
  await stopOn(await run.stopped, server)
  return 0
}

/**
 * Resolves with the reason when the process that this one belongs to is gone, also where that was before the call. Never where no launcher
 * started this process: a shell may end before it.
 */
async function whenParentExits(env: ServeOptions['env']): Promise<string> {
  if (env[workerVariable] !== undefined) {
    await whenSupervisorExits()
    return 'the supervisor is gone'
  }
  const launcher = Number(env[launcherVariable])
  // Watched by its id, not as the parent: if it was killed before this call, it is no longer the parent.
  return await new Promise((resolve) => {
    if (launcher > 0) onProcessExit(launcher, () => resolve('the launcher is gone'))
  })
}

function logFailures(events: Events): Disposable {
  const onRejection = (reason: unknown) => events.unexpected('unhandled rejection', reason)
  const onException = (error: unknown) => events.unexpected('uncaught exception', error)
  process.on('unhandledRejection', onRejection)
  process.on('uncaughtException', onException)
  return {
    [Symbol.dispose]() {
      process.off('unhandledRejection', onRejection)
      process.off('uncaughtException', onException)
    },
  }
}
