import packageJson from '../package.json' with { type: 'json' }
import type { ApiDeps } from './api/define.ts'
import type { Authentication } from './auth/authenticator.ts'
import { createReference } from './api/docs/reference.ts'
import { createReadiness } from './api/health/readiness.ts'
import { routes } from './api/index.ts'
import type { Config } from './config/config.ts'
import { createEgress, type EgressOptions } from './egress/egress.ts'
import type { CallerListingLimits } from './registry/caller-listings.ts'
import { metered } from './registry/metered.ts'
import { createModelCatalog, type CatalogTimes } from './registry/models.ts'
import { createProviderRegistry } from './registry/providers.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog, type Log } from './telemetry/logger.ts'

/** All the parts of a running server; disposing them goes in reverse. */
export interface Services extends ApiDeps, AsyncDisposable {
  readonly config: Config
  readonly events: Events
  /** Absent: nobody has to authenticate. */
  readonly authentication?: Authentication | undefined
}

export interface BuildOptions {
  /** Default: JSON lines (or, on a terminal, lines for people) on stderr, by the configuration's levels. */
  log?: Log
  /** How long listings and those that wait for them may take. */
  times?: Partial<CatalogTimes>
  /** Milliseconds that a provider's health check may take. */
  healthTimeout?: number
  /** Tells who is asking, in the place of what the configuration says. */
  authentication?: Authentication
  /** How much is kept of what callers' own keys list. */
  callerLimits?: Partial<CallerListingLimits>
  /** For tests: another resolver, another authority of callers' hosts. */
  egress?: Omit<EgressOptions, 'allow' | 'proxies'>
}

/**
 * The composition root: constructor calls in order. Resolves without waiting for any provider; a provider that fails does not fail this.
 * Throws an Error where the configuration contradicts itself.
 */
export async function buildServices(config: Config, options: BuildOptions = {}): Promise<Services> {
  const log = options.log ?? createLog(config.logging)
  const events = createEvents(log)
  const egress = createEgress({ ...config.egress, ...options.egress })
  const providers = createProviderRegistry({
    entries: config.providers,
    egress,
    log,
    events,
    wrap: (provider, id) => metered(provider, id, (event) => events.inferenceFinished(event)),
    ...(options.healthTimeout && { healthTimeout: options.healthTimeout }),
  })
  const models = createModelCatalog({
    providers,
    registered: config.models,
    events,
    refreshInterval: config.server.registryRefreshInterval,
    ...(options.times && { times: options.times }),
    ...(options.callerLimits && { callerLimits: options.callerLimits }),
  })
  const { authentication } = options
  return {
    config,
    log,
    events,
    authentication,
    providers,
    models,
    routes,
    reference: createReference(routes, packageJson.version),
    readiness: createReadiness(),
    version: packageJson.version,
    streams: { headTimeout: config.server.streamHeadTimeout * 1000, heartbeatInterval: config.server.heartbeatInterval * 1000 },
    async [Symbol.asyncDispose]() {
      for (const part of [models, providers]) await part[Symbol.asyncDispose]()
    },
  }
}
