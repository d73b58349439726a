import { createHash } from 'node:crypto'
import packageJson from '../package.json' with { type: 'json' }
import type { ApiDeps } from './api/define.ts'
import type { Authentication } from './auth/authenticator.ts'
import { createReference } from './api/docs/reference.ts'
import { createReadiness, type Readiness } from './api/health/readiness.ts'
import { routes } from './api/index.ts'
import type { AuthenticationDeps } from './auth/authentication.ts'
import type { AuthConfig } from './auth/config.ts'
import type { Keys } from './auth/keys/open.ts'
import type { AuditConfig, Config } from './config/config.ts'
import { createEgress, type EgressOptions } from './egress/egress.ts'
import type { CallerListingLimits } from './registry/caller-listings.ts'
import { metered } from './registry/metered.ts'
import { limitsAnything } from './quota/config.ts'
import type { Governance } from './quota/governance.ts'
import { createModelCatalog, type CatalogTimes } from './registry/models.ts'
import { createProviderRegistry } from './registry/providers.ts'
import { createStoredModels } from './registry/stored-models.ts'
import { openStorage, type Storage } from './storage/open.ts'
import type { AuditLog } from './telemetry/audit/audit-log.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createLog, type Log } from './telemetry/logger.ts'

/** What has to be written down cannot be: then nothing is served. */
export class AuditError extends Error {}

/** All the parts of a running server; disposing them goes in reverse. */
export interface Services extends ApiDeps, AsyncDisposable {
  readonly config: Config
  readonly events: Events
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
  const log = options.log ?? createLog(config.logging)
  const audit = config.audit && keep(await auditLog(config.audit, { name: options.name ?? 'server', log }))
  const events = createEvents(log, audit)
  const readiness = createReadiness()
  const egress = createEgress({ ...config.egress, ...options.egress })
  const storage = keep(await openStorage(config.storage, { events }))
  const keys = config.auth && (await keysOf(config, { events, storage }))
  if (keys) readiness.demand('API keys cannot be read from the database', () => keys.authenticator.isReadable)
  const authentication =
    options.authentication ?? (config.auth && keep(await authenticationOf(config.auth, { egress, events, keys: keys?.authenticator })))
  const isGoverned = authentication !== undefined || limitsAnything(config.quota)
  const governance =
    options.governance ??
    (isGoverned || config.quota.ledger ? keep(await governanceOf(config, { events, storage, readiness, isGoverned })) : undefined)
  if (audit) events.policyLoaded(policyIn(config))
  const providers = keep(
    createProviderRegistry({
      entries: config.providers,
      egress,
      log,
      events,
      wrap: (provider, id) => metered(provider, id, (event) => events.inferenceFinished(event), governance),
      ...(options.healthTimeout && { healthTimeout: options.healthTimeout }),
    }),
  )
  const models = keep(
    createModelCatalog({
      providers,
      registered: config.models,
      stored: keep(createStoredModels({ database: storage.records, policy: config.accessPolicy, events })),
      policy: config.accessPolicy,
      events,
      refreshInterval: server.registryRefreshInterval,
      ...(options.times && { times: options.times }),
      ...(options.callerLimits && { callerLimits: options.callerLimits }),
    }),
  )
  const { version } = packageJson
  return {
    config,
    log,
    events,
    authentication,
    governance,
    keys: keys?.service,
    providers,
    models,
    routes,
    reference: createReference(routes, version),
    readiness,
    version,
    streams: {
      headTimeout: server.streamHeadTimeout * 1000,
      heartbeatInterval: server.heartbeatInterval * 1000,
      ...(server.maxStreamSeconds > 0 && { maxDuration: server.maxStreamSeconds * 1000 }),
    },
    [Symbol.asyncDispose]: dispose,
  }
}

/** What the audit log says of the policies in force; the digest tells whether they are others than before. */
function policyIn({ auth, accessPolicy, routePolicy, quota, written }: Config): Readonly<Record<string, unknown>> {
  return {
    authenticators: auth?.authenticators.map(({ type }) => type) ?? [],
    access_rules: accessPolicy.isDefault ? 'default' : accessPolicy.rules?.length,
    route_rules: routePolicy?.rules?.length ?? 0,
    limits: quota.limits.length,
    digest: createHash('sha256')
      .update(JSON.stringify(written ?? {}))
      .digest('hex'),
  }
}

// What only a governed server needs is loaded by governed servers only: the others start sooner without.

async function auditLog(config: AuditConfig, { name, log }: { name: string; log: Log }): Promise<AuditLog> {
  const { openAuditLog } = await import('./telemetry/audit/open.ts')
  try {
    return await openAuditLog({ ...config, name, log: log.child({ category: 'audit' }) })
  } catch (error) {
    throw new AuditError(`The audit log in ${config.folder} cannot be written.`, { cause: error })
  }
}

interface Grounds {
  readonly events: Events
  readonly storage: Storage
}

async function keysOf({ accessPolicy, keyPepper, home }: Config, { events, storage }: Grounds): Promise<Keys> {
  const { openKeys } = await import('./auth/keys/open.ts')
  const apis = [...new Set(routes.map(({ api }) => api))]
  return openKeys({ database: storage.records, policy: accessPolicy, pepper: keyPepper, home, events, apis })
}

async function authenticationOf(config: AuthConfig, deps: AuthenticationDeps): Promise<Authentication> {
  const { createAuthentication } = await import('./auth/authentication.ts')
  return createAuthentication(config, deps)
}

interface GovernanceGrounds extends Grounds {
  readonly readiness: Readiness
  readonly isGoverned: boolean
}

async function governanceOf(config: Config, { events, storage, readiness, isGoverned }: GovernanceGrounds): Promise<Governance> {
  const { openGovernance } = await import('./quota/open.ts')
  let isOut = false
  readiness.demand('the quota store is out of reach', () => !isOut)
  const { quota, providers, server } = config
  return openGovernance(quota, {
    events,
    storage,
    onOutage: (now) => (isOut = now),
    pricing: new Map(providers.map(({ id, definition }) => [id, definition.pricing])),
    isShared: server.workers > 1,
    hasLedger: quota.ledger ?? isGoverned,
  })
}
