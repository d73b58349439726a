import { systemCall } from './call.ts'
import type { Config } from './config/config.ts'
import { whenParentDies } from './runtime/parent.ts'
import { listenForStop, type StopSignal } from './runtime/stop-signals.ts'
import { lineToSupervisor, supervisorGone, tellSupervisor } from './runtime/worker-process.ts'
import { type RunningServer, StartError, startServer } from './server.ts'
import type { Model } from './schemas/models.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog, type Log, LogFileError } from './telemetry/logger.ts'
import { joinCrew } from './telemetry/metrics/crew.ts'
import { supervise, withSharedParts, workerVariable } from './workers.ts'

/** What is served, once it is. */
export interface Serving {
  /** Where to reach it, e.g. `http://127.0.0.1:8321`; the first is the one to tell people. */
  readonly urls: readonly string[]
  readonly port: number
  /** The models listed so far. Absent where workers serve. */
  models?(): Promise<readonly Model[]>
}

export interface ServeOptions {
  /** The environment this process was started with; workers get it too. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Called once, when requests are answered. Not in workers: their supervisor tells. */
  readonly onServing?: (serving: Serving) => void
}

/**
 * Serves a configuration until a signal stops it, as the whole of a process: alone, or (`server.workers` above 1, Linux) as the
 * supervisor of workers, or as one of those. Resolves with the exit code: 0 after a clean stop, 1 when workers would not live.
 * SIGTERM, SIGINT and SIGHUP drain; a second one, a second later, ends the process at once. Throws StartError.
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
  const worker = options.env[workerVariable]
  if (worker !== undefined && process.connected) return await serveAsWorker(withSharedParts(config, options.env), worker, log)

  const stop = cleanup.use(listenForStop((signal) => process.exit(128 + signalNumbers[signal])))
  const stopped = Promise.race([stop.first, whenLauncherDies(options.env)])
  if (config.server.workers > 1 && process.platform === 'linux') {
    return await supervise(config, { ...options, events, log, stopped })
  }
  if (config.server.workers > 1) {
    events.warning(`server.workers is ${config.server.workers}: several processes share a port on Linux only; serving with one`)
  }
  const server = await startServer(config, { log })
  const { urls, port, services } = server
  options.onServing?.({ urls, port, models: () => services.models.list(systemCall('start', new AbortController().signal)) })
  await stopOn(await stopped, server)
  return 0
}

/** Set by the launcher (bin/corral.js) to its own process id. */
const launcherVariable = 'CORRAL_LAUNCHER'

const signalNumbers: Readonly<Record<StopSignal, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }

/** A load balancer needs a moment to notice after SIGTERM; somebody at a keyboard does not want to wait. */
async function stopOn(why: string, server: RunningServer): Promise<void> {
  await server.drain({ why, ...(why !== 'SIGTERM' && { grace: 0 }) })
}

/**
 * A worker loads the configuration by itself, from the same arguments and environment, so that no secret is written anywhere on the way.
 * It drains when told to, any number of times, and when its supervisor is gone.
 */
async function serveAsWorker(config: Config, variable: string, log: Log): Promise<0> {
  const [index, port] = variable.split('/')
  const orphaned = supervisorGone().then(() => 'the supervisor is gone')
  using stop = listenForStop(() => undefined)
  const server = await startServer(config, { port: Number(port) || undefined, sharePort: true, log, name: `worker-${index}` })
  if (server.services.metrics) joinCrew(server.services.metrics, lineToSupervisor())
  tellSupervisor({ corral: 'listening', urls: server.urls, port: server.port })
  await stopOn(await Promise.race([stop.first, orphaned]), server)
  return 0
}

/** Never resolves where something else than the launcher started this process: a shell may well end before it. */
function whenLauncherDies(env: ServeOptions['env']): Promise<string> {
  return new Promise((resolve) => {
    if (Number(env[launcherVariable]) === process.ppid) whenParentDies(() => resolve('the launcher is gone'))
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
