import packageJson from '../package.json' with { type: 'json' }
import type { ApiDeps } from './api/define.ts'
import type { Authentication } from './auth/authenticator.ts'
import { createApiReference } from './api/docs/reference.ts'
import { createReadiness } from './api/health/readiness.ts'
import { createImageUrlCheck } from './api/chat/image-urls.ts'
import { jobs as allJobs, routes as allRoutes } from './api/index.ts'
import { createResources, type Resources } from './api/resource.ts'
import type { AnyJobDefinition } from './jobs/definition.ts'
import { createJobQueue, type JobQueue } from './jobs/queue.ts'
import type { AnyRoute } from './http/route.ts'
import { TraceQueries } from './api/telemetry/service.ts'
import type { Config } from './config/config.ts'
import type { Dialect } from './dialects/dialect.ts'
import { dialects as allDialects } from './dialects/index.ts'
import { createEgress, type EgressOptions } from './egress/egress.ts'
import type { Ticker } from './http/sse.ts'
import type { CallerListingLimits } from './registry/caller-listings.ts'
import { limitsAnything } from './quota/config.ts'
import type { Governance } from './quota/governance.ts'
import { createModelCatalog, type CatalogTimes } from './registry/models.ts'
import { providerDefinitions } from './providers/index.ts'
import { genAiNameOf } from './providers/provider.ts'
import { createProviderRegistry } from './registry/providers.ts'
import { createStoredModels } from './registry/stored-models.ts'
import { createAuditLog, policySummary } from './services/audit.ts'
import type { ServerAuthentication, ServerAuthenticationDeps } from './services/authentication.ts'
import { DisposalStack } from './services/disposal.ts'
import type { ServerGovernanceDeps } from './services/governance.ts'
import type { Migration } from './storage/migration.ts'
import { createStorage } from './storage/storage.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog, type Log } from './telemetry/logger.ts'
import { defaultTelemetry } from './telemetry/config.ts'
import { setUpMetrics } from './telemetry/metrics/create-metrics.ts'
import { createTracing, type Tracing } from './telemetry/traces/create-tracing.ts'
import type { TraceContexts } from './telemetry/traces/trace-context.ts'

/** All the parts of a running server; disposing them goes in reverse. */
export interface Services extends ApiDeps, AsyncDisposable {
  readonly config: Config
  readonly events: Events
  /** Every dialect that is served. */
  readonly dialects: readonly Dialect[]
  /** Fields of requests by which some provider chooses a model. */
  readonly governedFields: readonly string[]
  /** Gives every request its place in a trace. */
  readonly traceContexts: TraceContexts
  /** Absent: authentication is disabled. */
  readonly authentication?: Authentication | undefined
  /** Absent: nothing is limited or recorded. */
  readonly governance?: Governance | undefined
  readonly jobs: JobQueue
}

export interface BuildOptions {
  /** Default: JSON lines (or, on a terminal, lines for people) on stderr, by the configuration's levels. */
  log?: Log
  /** Whose log of denials and changes this is: `server`, `worker-0` … Default `server`. */
  name?: string
  /** How long listings and those that wait for them may take. */
  times?: Partial<CatalogTimes>
  /** Milliseconds that a provider's health check may take. */
  healthTimeout?: number
  /** Replaces the configured authentication. */
  authentication?: Authentication
  /** Replaces the configured limits. */
  governance?: Governance
  /** How much is kept of what callers' own keys list. */
  callerLimits?: Partial<CallerListingLimits>
  /** For tests: counts the time of callers that do not read. */
  ticker?: Ticker
  /** Every route that is served. Default: those of `src/api/index.ts`. */
  routes?: readonly AnyRoute<ApiDeps>[]
  /** Every dialect that is served. Default: those of `src/dialects/index.ts`. */
  dialects?: readonly Dialect[]
  /** Every kind of job. Default: those of `src/api/index.ts`. */
  jobs?: readonly ((resources: Resources) => AnyJobDefinition)[]
  /** The history of the tables. Default: `src/storage/migrations/index.ts`. */
  migrations?: readonly Migration[]
  /** For tests: another resolver, another authority of callers' hosts. */
  egress?: Omit<EgressOptions, 'allow' | 'proxies'>
}

/**
 * The composition root: constructor calls in order. Resolves without waiting for any provider; a provider that fails does not fail this.
 * Throws an Error where the configuration contradicts itself, or what it demands cannot be had (the audit log's folder, a database).
 */
export async function buildServices(config: Config, options: BuildOptions = {}): Promise<Services> {
  const parts = new DisposalStack()
  try {
    return await build(config, options, parts)
  } catch (error) {
    await parts[Symbol.asyncDispose]()
    throw error
  }
}

async function build(config: Config, options: BuildOptions, parts: DisposalStack): Promise<Services> {
  const { server, quota } = config
  const { routes = allRoutes, dialects = allDialects } = options
  const log = options.log ?? createLog(config.logging)
  const { version } = packageJson
  // What a configuration does not use (SQL, authentication, limits) is not loaded: such servers start sooner.
  const audit = config.audit && parts.use(await createAuditLog(config.audit, { name: options.name ?? 'server', log }))
  // Disposed after all parts that report something.
  const tracing = parts.use(createTracing(config.telemetry ?? defaultTelemetry, { version, events: () => events }))
  const { metrics } = parts.use(
    setUpMetrics(config.telemetry ?? defaultTelemetry, {
      version,
      providers: new Map(config.providers.map(({ id, definition }) => [id, genAiNameOf(definition)])),
      scheme: server.tls ? 'https' : 'http',
      events: () => events,
    }),
  )
  const events: Events = createEvents(log, audit, { spans: tracing.spans, metrics: metrics?.sink })
  const readiness = createReadiness()
  const egress = createEgress({ ...config.egress, ...options.egress })
  const storage = parts.use(createStorage(config.storage, { events, migrations: options.migrations }))
  // A configured database that cannot be used stops the start, and workers share one from the start.
  if (config.storage.recordsConfigured || server.workers > 1) await storage.records.open()
  const { authentication, keys } = await authenticationOf(config, options, {
    storage,
    egress,
    events,
    readiness,
    apis: apisOf(routes),
    parts,
  })
  const hasLimits = authentication !== undefined || limitsAnything(quota)
  const governance = await governanceOf(config, options, {
    storage,
    events,
    readiness,
    hasLedger: quota.ledger ?? hasLimits,
    hasLimits,
    parts,
  })
  if (audit) events.policyLoaded(policySummary(config))
  const providers = parts.use(
    createProviderRegistry({
      entries: config.providers,
      egress,
      log,
      events,
      ...(options.healthTimeout && { healthTimeout: options.healthTimeout }),
    }),
  )
  const models = parts.use(
    createModelCatalog({
      providers,
      registered: config.models,
      stored: parts.use(createStoredModels({ records: storage.records, policy: config.accessPolicy, events })),
      policy: config.accessPolicy,
      events,
      refreshInterval: server.registryRefreshInterval,
      ...(options.times && { times: options.times }),
      ...(options.callerLimits && { callerLimits: options.callerLimits }),
    }),
  )
  const resources = createResources(() => ({ records: storage.records, policy: config.accessPolicy, events, jobs, home: config.home }))
  const definitions = (options.jobs ?? allJobs).map((define) => define(resources))
  const jobs = parts.use(createJobQueue({ database: storage.records, definitions, events }))
  jobs.start()
  metrics?.useCatalogue(models)
  metrics?.observe('corral.telemetry.dropped', () => [{ labels: ['logs'], value: log.dropped ?? 0 }])
  if (audit) metrics?.observe('corral.telemetry.dropped', () => [{ labels: ['audit'], value: audit.lost ?? 0 }])
  if (metrics && governance) (await import('./services/governance.ts')).measureGovernance(metrics, governance)
  return {
    config,
    log,
    events,
    metrics,
    traceContexts: tracing.contexts,
    traces: traceQueriesOf(config, tracing),
    authentication,
    governance,
    keys,
    resources,
    jobs,
    providers,
    models,
    inference: { models, governance, events },
    routes,
    dialects,
    governedFields: governedFieldsOf(config),
    checkImageUrls: createImageUrlCheck(config.egress.deny),
    reference: createApiReference(routes, version, dialects),
    readiness,
    version,
    streams: {
      headTimeout: server.streamHeadTimeout * 1000,
      heartbeatInterval: server.heartbeatInterval * 1000,
      ...(server.maxStreamSeconds > 0 && { maxDuration: server.maxStreamSeconds * 1000 }),
      ticker: options.ticker,
    },
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  }
}

/** Those of every known provider, configured or not: the same request is valid on every server. */
function governedFieldsOf({ providers }: Config): string[] {
  const definitions = [...providerDefinitions, ...providers.map(({ definition }) => definition)]
  return [...new Set(definitions.flatMap((one) => (one.api === 'inference' ? (one.governedFields ?? []) : [])))]
}

/** Undefined: no traces are kept. */
function traceQueriesOf({ telemetry, accessPolicy: policy }: Config, { store: take }: Tracing): TraceQueries | undefined {
  return telemetry?.store && take ? new TraceQueries({ path: telemetry.store.path, policy, storeSpans: take }) : undefined
}

/** Absent: neither the configuration nor the caller asks for authentication. */
async function authenticationOf(
  config: Config,
  { authentication }: BuildOptions,
  deps: Omit<ServerAuthenticationDeps, 'authentication'>,
): Promise<Partial<ServerAuthentication>> {
  if (!config.auth) return { authentication }
  const { createServerAuthentication } = await import('./services/authentication.ts')
  return await createServerAuthentication(config, config.auth, { ...deps, authentication })
}

/** Absent: nothing is limited or recorded. API keys bring limits of their own, so authenticated callers may be limited. */
async function governanceOf(
  config: Config,
  options: BuildOptions,
  { hasLimits, parts, ...deps }: ServerGovernanceDeps & { readonly hasLimits: boolean; readonly parts: DisposalStack },
): Promise<Governance | undefined> {
  if (options.governance) return options.governance
  if (!hasLimits && !deps.hasLedger) return undefined
  const { createServerGovernance } = await import('./services/governance.ts')
  return parts.use(await createServerGovernance(config, deps))
}

function apisOf(routes: readonly AnyRoute<ApiDeps>[]): string[] {
  return [...new Set(routes.map(({ api }) => api))]
}
