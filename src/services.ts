import packageJson from '../package.json' with { type: 'json' }
import type { ApiDeps } from './api/define.ts'
import type { Authentication } from './auth/authenticator.ts'
import { createApiReference } from './api/docs/reference.ts'
import { createReadiness } from './api/health/readiness.ts'
import { createImageUrlCheck } from './api/chat/image-urls.ts'
import { routes as allRoutes } from './api/index.ts'
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
import { lazyStoredModels } from './registry/lazy-stored-models.ts'
import { createModelCatalog, type CatalogTimes } from './registry/models.ts'
import { providerDefinitions } from './providers/index.ts'
import { createProviderRegistry } from './registry/providers.ts'
import type { StoredModels } from './registry/stored-models.ts'
import { hasSqlite } from './runtime/has-sqlite.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog, type Log } from './telemetry/logger.ts'
import { defaultTelemetry } from './telemetry/config.ts'
import { setUpMetrics } from './telemetry/metrics/setup.ts'
import { createTracing, type Tracing } from './telemetry/setup.ts'
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
  /** Absent: nobody has to authenticate. */
  readonly authentication?: Authentication | undefined
  /** Absent: nothing is limited, nor written down. */
  readonly governance?: Governance | undefined
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
  /** Tells who is asking, in the place of what the configuration says. */
  authentication?: Authentication
  /** Limits what is used, in the place of what the configuration says. */
  governance?: Governance
  /** How much is kept of what callers' own keys list. */
  callerLimits?: Partial<CallerListingLimits>
  /** For tests: counts the time of callers that do not read. */
  ticker?: Ticker
  /** Every route that is served. Default: those of `src/api/index.ts`. */
  routes?: readonly AnyRoute<ApiDeps>[]
  /** Every dialect that is served. Default: those of `src/dialects/index.ts`. */
  dialects?: readonly Dialect[]
  /** For tests: another resolver, another authority of callers' hosts. */
  egress?: Omit<EgressOptions, 'allow' | 'proxies'>
}

/**
 * The composition root: constructor calls in order. Resolves without waiting for any provider; a provider that fails does not fail this.
 * Throws an Error where the configuration contradicts itself, or what it demands cannot be had (the audit log's folder, a database).
 */
export async function buildServices(config: Config, options: BuildOptions = {}): Promise<Services> {
  const built: AsyncDisposable[] = []
  const keep = <Part extends AsyncDisposable>(part: Part): Part => (built.push(part), part)
  const dispose = async (): Promise<void> => {
    let failed: { error: unknown } | undefined
    for (const part of built.splice(0).toReversed()) {
      try {
        await part[Symbol.asyncDispose]()
      } catch (error) {
        // The others close all the same.
        failed ??= { error }
      }
    }
    if (failed) throw failed.error
  }
  try {
    return await build(config, options, { keep, dispose })
  } catch (error) {
    await dispose()
    throw error
  }
}

interface Keeping {
  /** What is kept is disposed in reverse. */
  readonly keep: <Part extends AsyncDisposable>(part: Part) => Part
  readonly dispose: () => Promise<void>
}

async function build(config: Config, options: BuildOptions, { keep, dispose }: Keeping): Promise<Services> {
  const { server } = config
  const { routes = allRoutes, dialects = allDialects } = options
  const log = options.log ?? createLog(config.logging)
  // What decides and what keeps is loaded where there is something to decide or to keep: other servers start sooner without.
  const governed = isGoverned(config, options) ? await import('./services/governed.ts') : undefined
  const audit = config.audit && governed && keep(await governed.openAudit(config.audit, { name: options.name ?? 'server', log }))
  const { version } = packageJson
  // It is closed after all that has something to tell.
  const tracing = keep(createTracing(config.telemetry ?? defaultTelemetry, { version, events: () => events }))
  const { metrics } = keep(
    setUpMetrics(config.telemetry ?? defaultTelemetry, {
      version,
      providers: new Map(config.providers.map(({ id, type }) => [id, type])),
      scheme: server.tls ? 'https' : 'http',
      limitNames: governed?.limitNamesIn(config),
      events: () => events,
    }),
  )
  const events: Events = createEvents(log, audit, { spans: tracing.spans, metrics: metrics?.sink })
  const readiness = createReadiness()
  const egress = createEgress({ ...config.egress, ...options.egress })
  const guards = await governed?.buildGoverned(config, { egress, events, readiness, given: options, keep })
  if (governed && audit) events.policyLoaded(governed.policiesIn(config))
  const providers = keep(
    createProviderRegistry({
      entries: config.providers,
      egress,
      log,
      events,
      ...(options.healthTimeout && { healthTimeout: options.healthTimeout }),
    }),
  )
  const models = keep(
    createModelCatalog({
      providers,
      registered: config.models,
      stored: guards ? guards.stored : hasSqlite() ? keep(storedModelsOf(config, events)) : undefined,
      policy: config.accessPolicy,
      events,
      refreshInterval: server.registryRefreshInterval,
      ...(options.times && { times: options.times }),
      ...(options.callerLimits && { callerLimits: options.callerLimits }),
    }),
  )
  metrics?.useCatalogue(models)
  metrics?.observe('corral.telemetry.dropped', () => [{ labels: ['logs'], value: log.dropped ?? 0 }])
  if (audit) metrics?.observe('corral.telemetry.dropped', () => [{ labels: ['audit'], value: audit.lost ?? 0 }])
  if (metrics && guards?.governance) governed?.measureGovernance(metrics, guards.governance, config)
  return {
    config,
    log,
    events,
    metrics,
    traceContexts: tracing.contexts,
    traces: traceQueriesOf(config, tracing),
    authentication: guards?.authentication,
    governance: guards?.governance,
    keys: guards?.keys,
    providers,
    models,
    inference: { models, governance: guards?.governance, events },
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
    [Symbol.asyncDispose]: dispose,
  }
}

/** Those of every known provider, configured or not: the same request is valid on every server. */
function governedFieldsOf({ providers }: Config): string[] {
  const definitions = [...providerDefinitions, ...providers.map(({ definition }) => definition)]
  return [...new Set(definitions.flatMap((definition) => definition.governedFields ?? []))]
}

/** Undefined: no traces are kept. */
function traceQueriesOf({ telemetry, accessPolicy: policy }: Config, { store: take }: Tracing): TraceQueries | undefined {
  return telemetry?.store && take ? new TraceQueries({ path: telemetry.store.path, policy, storeSpans: take }) : undefined
}

/** Whether there is anything that refuses, counts or records, or a database that somebody asked for. */
function isGoverned({ auth, routePolicy, quota, audit, storage, server }: Config, options: BuildOptions): boolean {
  if (auth || routePolicy || audit || limitsAnything(quota) || quota.ledger) return true
  return storage.recordsConfigured || server.workers > 1 || options.authentication !== undefined || options.governance !== undefined
}

function storedModelsOf(config: Config, events: Events): StoredModels {
  const { records } = config.storage
  return lazyStoredModels({
    path: records.engine === 'sqlite' ? records.path : '',
    open: async () => (await import('./services/governed.ts')).openStoredModels(config, events),
    onFailure: (error) => events.unexpected('opening the database of the registered models', error),
  })
}
