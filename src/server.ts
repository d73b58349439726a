import { readFile } from 'node:fs/promises'
import { createApp, type App } from './app.ts'
import type { Config, ServerConfig } from './config/config.ts'
import { ApiError } from './errors.ts'
import { isLoopback } from './http/middleware/host-check.ts'
import { listen, type HttpListener, type HttpListenOptions } from './runtime/serve.ts'
import { buildServices, type Services } from './services.ts'
import type { Log } from './telemetry/logger.ts'
import { sleep, within } from './timing.ts'

/** Why the server cannot start, in a line for the operator, and what to do about it. */
export class StartError extends Error {
  readonly remedy: string

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StartError'
    this.remedy = remedy
  }
}

export interface StartOptions {
  /** In place of the configuration's; 0 takes a free one. */
  port?: number | undefined
  /** Other processes listen on the same port (Linux). */
  sharePort?: boolean | undefined
  /** Default: one of its own. */
  log?: Log | undefined
  /** Of this process among those of one server, e.g. `worker-0`. */
  name?: string | undefined
  /** Aborted before the port is open: nothing is served, and `startServer` rejects with its reason. */
  signal?: AbortSignal | undefined
}

interface DrainOptions {
  /** For the log, e.g. `SIGTERM`. */
  why: string
  /** Seconds between `/readyz` turning false and the port closing. Default: the configuration's. */
  grace?: number | undefined
  /** Seconds that running requests get. Default: the configuration's. */
  limit?: number | undefined
}

export interface RunningServer extends AsyncDisposable {
  /** Where it listens, e.g. `http://127.0.0.1:8321`; the first is the one to show. */
  readonly urls: readonly string[]
  readonly port: number
  readonly services: Services
  /**
   * Stops without breaking what runs: `/readyz` turns false, after the grace nothing new is taken, running requests and streams finish;
   * what still runs after the limit ends with an error. Resolves with the number of those, once everything is closed. Disposing is a
   * drain without grace or limit.
   */
  drain(options: DrainOptions): Promise<number>
}

/** Builds the services of a configuration and serves them. Throws StartError; installs no signal handlers (`serve` in supervisor.ts does). */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  assertNotOpen(config)
  const tls = await readTls(config.server)
  const services = await buildServicesOrExplain(config, options)
  try {
    // Nothing between here and `bind` waits: a port never opens after the signal.
    options.signal?.throwIfAborted()
    const app = createApp(services)
    const listeners = bind(config.server, { fetch: app.fetch, tls, sharePort: options.sharePort ?? false }, options.port)
    const urls = listeners.map(({ url }) => url.href.replace(/\/$/, ''))
    const providers = config.providers.map(({ id }) => id)
    services.events.serverStarted({ urls, providers, after: performance.now() })
    const drainOnce = once((how: DrainOptions) => drain({ services, app, listeners }, how))
    return {
      urls,
      port: listeners[0]?.port ?? 0,
      services,
      drain: drainOnce,
      async [Symbol.asyncDispose]() {
        await drainOnce({ why: 'stopped', grace: 0, limit: 0 })
      },
    }
  } catch (error) {
    await services[Symbol.asyncDispose]()
    throw error
  }
}

async function buildServicesOrExplain(config: Config, { log, name }: StartOptions): Promise<Services> {
  try {
    return await buildServices(config, { ...(log && { log }), ...(name !== undefined && { name }) })
  } catch (error) {
    if (error instanceof Error && 'remedy' in error && typeof error.remedy === 'string')
      throw new StartError(error.message, error.remedy, error)
    throw error
  }
}

/** Listening beyond loopback without authentication must be configured explicitly. */
function assertNotOpen({ auth, server: { host, allowUnauthenticated } }: Config): void {
  if (auth || isLoopback(host) || allowUnauthenticated) return
  throw new StartError(
    `server.host is '${host}', which other machines can reach, but no authentication is configured.`,
    'Configure server.auth.provider_config (docs/authentication.md; {type: api_key} for Corral API keys), remove server.host to listen on loopback only, or set server.allow_unauthenticated: true if the network restricts access.',
  )
}

/** The PEM texts of the files that the configuration names. */
async function readTls({ tls }: ServerConfig): Promise<HttpListenOptions['tls']> {
  if (!tls) return undefined
  const [cert, key, clientCa] = await Promise.all([readPem(tls.cert), readPem(tls.key), tls.clientCa ? readPem(tls.clientCa) : undefined])
  return { cert, key, clientCa, ...(tls.ciphers && { ciphers: tls.ciphers.join(':') }) }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new StartError(
      `Cannot read the PEM file ${path}.`,
      'server.tls_certfile, tls_keyfile and tls_cafile must name readable files.',
      error,
    )
  }
}

function bind(server: ServerConfig, common: Omit<HttpListenOptions, 'port' | 'hostname'>, port = server.port): HttpListener[] {
  const onLoopback = server.host === undefined || server.host.toLowerCase() === 'localhost'
  const hostname = onLoopback ? '127.0.0.1' : (server.host ?? '').replace(/^\[(.*)\]$/, '$1')
  const first = listenOrExplain({ ...common, port, hostname })
  if (!onLoopback) return [first]
  // `localhost` is ::1 for some clients. A machine without IPv6, or another program on that port, does not prevent serving.
  try {
    return [first, listen({ ...common, port: first.port, hostname: '::1' })]
  } catch (error) {
    if (isSystemError(error)) return [first]
    throw error
  }
}

/** As `listen`, with errors that say what to do. */
export function listenOrExplain(options: HttpListenOptions): HttpListener {
  try {
    return listen(options)
  } catch (error) {
    throw toStartError(error, options)
  }
}

function toStartError(error: unknown, { port, hostname, tls }: HttpListenOptions): unknown {
  if (!isSystemError(error)) return error
  switch (error.code) {
    case 'EADDRINUSE':
      return new StartError(
        `Port ${port} on ${hostname} is already in use.`,
        'Stop the program that uses it, or choose another port: --port 8322, or --port 0 for any free port.',
        error,
      )
    case 'EADDRNOTAVAIL':
      return new StartError(
        `Cannot listen on '${hostname}': this machine has no such address.`,
        "Remove server.host to listen on loopback only; '0.0.0.0' or '::' listens on every address.",
        error,
      )
    case 'EACCES':
      return new StartError(`Permission denied: port ${port}.`, 'Use a port above 1023, e.g. --port 8321.', error)
    default:
      if (!tls) return error
      return new StartError(
        `Invalid TLS certificate or key (${error.code}).`,
        'server.tls_certfile, server.tls_keyfile and server.tls_cafile must name PEM files, and the key must match the certificate.',
        error,
      )
  }
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
}

/** Seconds that aborted requests get to send their last event, and services to close. */
const abortGrace = 3

async function drain(parts: { services: Services; app: App; listeners: readonly HttpListener[] }, how: DrainOptions): Promise<number> {
  const { services, app, listeners } = parts
  const { server } = services.config
  const limit = how.limit ?? server.drainTimeout
  services.readiness.block('draining')
  app.closeConnections()
  services.events.draining(how.why, app.activeRequests, limit)
  await sleep((how.grace ?? server.drainGrace ?? 1) * 1000)

  const reason = new ApiError('service_unavailable_error', 'The server is shutting down.', { code: 'shutting_down' })
  const jobs = services.jobs.drain({ timeout: limit * 1000 })
  const finished = allComplete(app, listeners)
  // It is not known when the rest arrives, and nothing has been done for these requests.
  app.abortUploads(reason)
  let aborted = 0
  if (
    !(await within(
      limit * 1000,
      finished.then(() => true),
      false,
    ))
  ) {
    aborted = app.activeRequests
    app.abort(reason)
    await within(abortGrace * 1000, finished, undefined)
  }
  await Promise.all(listeners.map((listener) => listener.stop()))
  services.events.drained(aborted)
  await within(abortGrace * 1000, jobs, undefined)
  await within(abortGrace * 1000, services[Symbol.asyncDispose](), undefined)
  return aborted
}

/** Resolves once no response is in progress. Callers that have sent half of a request's head, or half of an unread body, are not awaited. */
async function allComplete(app: App, listeners: readonly HttpListener[]): Promise<void> {
  const closed = Promise.all(listeners.map((listener) => listener.finish())).then(() => true)
  for (let quiet = 0; quiet < 3;) {
    if (await within(50, closed, false)) return
    quiet = app.activeRequests === 0 && listeners.every(({ running }) => running === 0) ? quiet + 1 : 0
  }
}

function once<A, R>(act: (argument: A) => Promise<R>): (argument: A) => Promise<R> {
  let result: Promise<R> | undefined
  return (argument) => (result ??= act(argument))
}
