import type { Call, Principal } from '../call.ts'
import { ApiError, shortened, maskApiKeys } from '../errors.ts'
import { type AuditLog, noAuditLog } from './audit/audit-log.ts'
import type { InferenceFinished, RequestFinished, MetricSink, SpanSink } from './event-types.ts'
import type { Log } from './logger.ts'

/** Where events go beside the log. */
interface EventSinks {
  readonly spans?: SpanSink | undefined
  readonly metrics?: MetricSink | undefined
}

/** A stored resource was changed: a key, a model … */
interface ResourceChanged {
  readonly call: Pick<Call, 'requestId' | 'principal' | 'clientAddress' | 'trace'>
  /** E.g. `api_key.created`, `model.deleted`. */
  readonly event: string
  /** E.g. `api_key::key_1b2c`. */
  readonly resource: string
  /** The new values, without secrets. */
  readonly detail?: Readonly<Record<string, unknown>>
}

interface ServerStarted {
  /** Where it listens, e.g. `http://127.0.0.1:8321`. */
  urls: readonly string[]
  providers: readonly string[]
  /** Milliseconds since the process began. */
  after: number
}

/** Everything that is logged, traced or measured: one method for each kind of event, the only place that decides where it goes. */
export interface Events {
  /** A request has come in. */
  requestStarted(): void
  requestFinished(event: RequestFinished): void
  inferenceFinished(event: InferenceFinished): void
  /** Resolves after the audit log entry of the change is synced to disk. Throws ApiError 503 if it could not be written: the change persists. */
  resourceChanged(event: ResourceChanged): Promise<void>
  /** The same for every change so far, e.g. before the response to a repeated request. */
  changesRecorded(): Promise<void>
  /** The policies in force, as they are loaded at start. */
  policyLoaded(detail: Readonly<Record<string, unknown>>): void
  /** A dependency (`database`, `quota store`, `identity service` …) is unavailable. Reported once per outage. */
  dependencyFailed(dependency: string, error: unknown): void
  dependencyRecovered(dependency: string): void
  /** A provider could not be reached, or replied with an error, outside of a caller’s request. */
  upstreamFailed(provider: string, error: unknown): void
  /** A provider's models could not be listed; `retryIn` in milliseconds. */
  listingFailed(provider: string, error: unknown, retryIn?: number): void
  listed(provider: string, models: number): void
  serverStarted(event: ServerStarted): void
  /** The server takes no new requests; `running` are still to finish, within `limit` seconds. */
  draining(why: string, running: number, limit: number): void
  /** Nothing runs any more; `aborted` did not finish within the limit. */
  drained(aborted: number): void
  /** Stopped during start-up: nothing was served. */
  stoppedEarly(why: string): void
  workerStarted(worker: number, pid: number): void
  /** `restartIn` in milliseconds; absent when it is not started again. */
  workerDied(worker: number, how: string, restartIn?: number): void
  /** Telemetry that was lost: a full queue, an unavailable collector or store. */
  telemetryDropped(what: 'spans' | 'metrics' | 'logs', count: number): void
  /** Something failed that no request waits for. */
  unexpected(where: string, error: unknown): void
  /** Something that the operator should know at start. */
  warning(message: string, fields?: object): void
}

export function createEvents(log: Log, audit: AuditLog = noAuditLog, { spans, metrics }: EventSinks = {}): Events {
  const unavailable = new Set<string>()
  const server = log.child({ category: 'server' })
  const inference = log.child({ category: 'inference' })
  const providers = log.child({ category: 'providers' })
  return {
    requestStarted: () => metrics?.requestStarted?.(),
    requestFinished(event) {
      writeAccessLine(server, event)
      metrics?.requestFinished(event)
      spans?.requestFinished(event)
      const denial = event.error instanceof ApiError ? event.error.denial : undefined
      if (!denial) return
      const { by, reason, action, resource } = denial
      const method = `${event.request.method} ${event.route ?? shortened(event.path, maxPathLength)}`
      audit.record({
        event: 'request.denied',
        ...principalFields(event),
        status: event.status,
        denied_by: by,
        reason: maskApiKeys(reason),
        action: action ?? method,
        resource: resource && maskApiKeys(resource),
      })
    },
    async resourceChanged({ call, event, resource, detail }) {
      const recorded = audit.recordDurably({ event, ...principalFields(call), resource, detail })
      server.info({ request_id: call.requestId, trace_id: call.trace?.traceId, resource, by: call.principal?.id }, event)
      await recorded.catch(rejectUnrecorded)
    },
    changesRecorded: () => audit.synced().catch(rejectUnrecorded),
    policyLoaded: (detail) => audit.record({ event: 'policy.loaded', detail }),
    dependencyFailed(dependency, error) {
      if (unavailable.has(dependency)) return
      unavailable.add(dependency)
      metrics?.dependencyFailed?.(dependency)
      server.error({ dependency, cause: causeOf(error) }, 'dependency unavailable')
    },
    dependencyRecovered(dependency) {
      if (!unavailable.delete(dependency)) return
      metrics?.dependencyRecovered?.(dependency)
      server.info({ dependency }, 'dependency recovered')
    },
    inferenceFinished(event) {
      metrics?.inferenceFinished(event)
      spans?.inferenceFinished(event)
      // Comes with every response, and is rarely enabled.
      if (inference.isDebugEnabled === false) return
      const { call, error, usage } = event
      const fields = {
        request_id: call.requestId,
        trace_id: call.trace?.traceId,
        provider: event.provider,
        model: shortened(event.model, maxPathLength),
        operation: event.operation.name,
        streamed: event.streamed,
        outcome: event.outcome,
        duration: event.duration,
        firstToken: event.firstToken,
        ...usage,
        ...(error !== undefined && { cause: causeOf(error) }),
      }
      inference.debug(fields, 'inference finished')
    },
    upstreamFailed(provider, error) {
      metrics?.upstreamFailed?.(provider)
      providers.warn({ provider, cause: causeOf(error) }, 'provider failed')
    },
    listingFailed(provider, error, retryIn) {
      metrics?.listingFailed?.(provider)
      providers.warn(
        { provider, cause: causeOf(error), ...(retryIn !== undefined && { retry_in_ms: retryIn }) },
        'models could not be listed',
      )
    },
    listed(provider, models) {
      metrics?.listed?.(provider, models)
      providers.info({ provider, models }, 'models listed')
    },
    serverStarted: ({ urls, providers: ids, after }) =>
      server.info({ pid: process.pid, providers: ids, start_ms: Math.round(after) }, `Corral serves ${urls.join(' and ')}`),
    draining: (why, running, limit) => server.info({ running, limit_s: limit }, `${why}: finishing what runs, taking nothing new`),
    drained(aborted) {
      if (aborted === 0) server.info({}, 'all requests finished')
      else server.warn({ aborted }, 'the time to finish is over: aborted what still ran')
    },
    stoppedEarly: (why) => server.info({}, `${why} during start-up: stopped before serving`),
    workerStarted: (worker, pid) => server.info({ worker, pid, supervisor: process.pid }, 'worker started'),
    workerDied(worker, how, restartIn) {
      server.error({ worker, ...(restartIn !== undefined && { restart_in_ms: restartIn }) }, `worker died (${how})`)
    },
    telemetryDropped: (what, count) => metrics?.telemetryDropped?.(what, count),
    unexpected: (where, error) => server.error({ where, err: error }, 'unexpected failure'),
    warning: (message, fields = {}) => server.warn(fields, message),
  }
}

/** A change without its line in the audit log is not acknowledged. */
function rejectUnrecorded(cause: unknown): never {
  const message =
    'The change was made, but its audit log entry could not be written to disk. Check the resource before repeating the request.'
  throw new ApiError('service_unavailable_error', message, { code: 'audit_log_unavailable', retryable: false, cause })
}

const maxPathLength = 256
/** Characters of what a provider calls its error. */
const maxTypeLength = 64

function principalFields({
  requestId,
  principal,
  clientAddress,
}: Pick<Call, 'requestId' | 'clientAddress'> & { principal?: Principal | undefined }) {
  return { request_id: requestId, principal: principal?.id, key_id: principal?.key?.id, client_address: clientAddress }
}

/** The access line: one for each request. */
function writeAccessLine(log: Log, event: RequestFinished): void {
  const { startedAt, model, attempt, disconnected, request } = event
  const error = disconnected ? undefined : (event.error ?? event.failure)
  // Undefined fields are omitted.
  const fields = {
    request_id: event.requestId,
    trace_id: event.trace?.traceId,
    method: request.method,
    route: event.route ?? shortened(event.path, maxPathLength),
    status: event.status,
    ms: roundToTenths(performance.now() - startedAt),
    model: model && shortened(model, maxPathLength),
    provider: attempt?.provider,
    principal: event.principal?.id,
    key_id: event.principal?.key?.id,
    ttft_ms: attempt?.firstTokenAt === undefined ? undefined : roundToTenths(attempt.firstTokenAt - startedAt),
    request_bytes: event.requestBytes,
    response_bytes: event.responseBytes,
    input_tokens: attempt?.inputTokens,
    output_tokens: attempt?.outputTokens,
    cost_usd: attempt?.costNanoDollars === undefined ? undefined : attempt.costNanoDollars / 1e9,
    client_disconnected: disconnected || undefined,
  }
  if (error === undefined) log.info(fields, 'request')
  else writeFailure(log, fields, error)
}

function writeFailure(log: Log, request: object, error: unknown): void {
  const denial = error instanceof ApiError ? error.denial : undefined
  const fields = {
    ...request,
    error_type: error instanceof ApiError ? shortened(error.type, maxTypeLength) : 'server_error',
    failure_class: error instanceof ApiError ? error.failure : 'server_error',
    ...(denial && { denied_by: denial.by, denied_reason: denial.reason }),
    cause: causeOf(error),
  }
  if (!(error instanceof ApiError)) return log.error({ ...fields, err: error }, 'request')
  if (error.type === 'server_error' && error.cause !== undefined) return log.error({ ...fields, err: error.cause }, 'request')
  return error.status >= 500 ? log.warn(fields, 'request') : log.info(fields, 'request')
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? typeof value)
}

function roundToTenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}

const maxCauseDepth = 5
/** Characters of one message: the full text of a provider is in the trace. */
const maxCauseLength = 2_000

/** The messages of an error and of what caused it, in one line: `Provider 'groq' could not be reached: connect ECONNREFUSED`. */
export function causeOf(error: unknown): string {
  const messages: string[] = []
  let at: unknown = error
  for (let depth = 0; depth < maxCauseDepth && at !== undefined && at !== null; depth++) {
    const message = shortened(at instanceof Error ? at.message || at.name : asText(at), maxCauseLength)
    if (!messages.some((earlier) => earlier.includes(message))) messages.push(message)
    at = at instanceof Error ? at.cause : undefined
  }
  return messages.map((message, index) => (index < messages.length - 1 ? message.replace(/\.$/, '') : message)).join(': ')
}
