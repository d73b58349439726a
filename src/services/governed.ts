import { createHash } from 'node:crypto'
import { routes } from '../api/index.ts'
import type { Readiness } from '../api/health/readiness.ts'
import { createAuthentication } from '../auth/authentication.ts'
import type { Authentication } from '../auth/authenticator.ts'
import type { KeyService } from '../auth/keys/key-service.ts'
import { openKeys } from '../auth/keys/open.ts'
import type { AuditConfig, Config } from '../config/config.ts'
import type { Egress } from '../egress/egress.ts'
import type { Governance } from '../quota/governance.ts'
import { limitNames } from '../quota/governance-limits.ts'
import { openGovernance } from '../quota/open.ts'
import { createStoredModels, type StoredModels } from '../registry/stored-models.ts'
import { openStorage, type Storage } from '../storage/open.ts'
import type { AuditLog } from '../telemetry/audit/audit-log.ts'
import { openAuditLog } from '../telemetry/audit/open.ts'
import type { Events } from '../telemetry/events.ts'
import type { Log } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics/create-metrics.ts'
import { overflowLabel } from '../telemetry/metrics/instruments.ts'

/** What the configuration demands cannot be had, and what to do about it. */
class DemandError extends Error {
  readonly remedy: string

  constructor(message: string, remedy: string, cause: unknown) {
    super(message, { cause })
    this.name = 'DemandError'
    this.remedy = remedy
  }
}

export async function openAudit(config: AuditConfig, { name, log }: { name: string; log: Log }): Promise<AuditLog> {
  try {
    return await openAuditLog({ ...config, name, log: log.child({ category: 'audit' }) })
  } catch (error) {
    const remedy = 'Name another folder in server.audit.folder, or say server.audit: false.'
    throw new DemandError(`The audit log in ${config.folder} cannot be written.`, remedy, error)
  }
}

/** What decides who may do what and how much, and what is kept. */
export interface Governed {
  readonly authentication: Authentication | undefined
  readonly keys: KeyService | undefined
  readonly governance: Governance | undefined
  readonly stored: StoredModels
}

export interface GovernedDeps {
  readonly egress: Egress
  readonly events: Events
  readonly readiness: Readiness
  /** In the place of the configuration's. */
  readonly given: { readonly authentication?: Authentication | undefined; readonly governance?: Governance | undefined }
  readonly keep: <Part extends AsyncDisposable>(part: Part) => Part
}

/** Storage → keys → authentication → limits and the ledger → registered models. */
export async function buildGoverned(config: Config, deps: GovernedDeps): Promise<Governed> {
  const { egress, events, readiness, given, keep } = deps
  const { auth, accessPolicy: policy, keyPepper: pepper, home } = config
  const storage = keep(await openStorage(config.storage, { events }))
  const database = storage.records
  const apis = [...new Set(routes.map(({ api }) => api))]
  const keys = auth && (await openKeys({ database, policy, pepper, home, events, apis }).catch(refusePepper))
  if (keys) readiness.addReadinessCheck('API keys cannot be read from the database', () => keys.authenticator.isReadable)
  if (keys && given.authentication) keep(keys.authenticator)
  const authentication = given.authentication ?? (auth && keep(createAuthentication(auth, { egress, events, keys: keys?.authenticator })))
  const governance = given.governance ?? (await governanceOf(config, { ...deps, storage, isAuthenticated: authentication !== undefined }))
  const stored = keep(createStoredModels({ database, policy, events }))
  return { authentication, keys: keys?.service, governance, stored }
}

function refusePepper(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error)
  throw new DemandError(message, 'Set server.auth.key_pepper, or CORRAL_HOME to a folder that can be written.', error)
}

interface GovernanceGrounds extends GovernedDeps {
  readonly storage: Storage
  readonly isAuthenticated: boolean
}

/** Keys bring limits of their own, so whoever authenticates may be limited. */
async function governanceOf(config: Config, grounds: GovernanceGrounds): Promise<Governance | undefined> {
  const { events, readiness, storage, keep, isAuthenticated } = grounds
  const { quota, providers, server } = config
  const hasLimits = isAuthenticated || quota.requests !== undefined || quota.limits.length > 0
  const hasLedger = quota.ledger ?? hasLimits
  if (!hasLimits && !hasLedger) return undefined
  let isOut = false
  readiness.addReadinessCheck('the quota store is out of reach', () => !isOut)
  return keep(
    await openGovernance(quota, {
      events,
      storage,
      onOutage: (now) => (isOut = now),
      pricing: new Map(providers.map(({ id, definition }) => [id, definition.pricing])),
      isShared: server.workers > 1,
      hasLedger,
    }),
  )
}

/** The labels of the configured limits, as refusals name them, each with the limit's name. */
export function limitNamesIn({ quota }: Config): ReadonlyMap<string, string> {
  return limitNames(quota)
}

/** Lets `/metrics` tell how much of each configured limit is used, by whoever has used most; never by whom. */
export function measureGovernance(metrics: Metrics, governance: Governance, config: Config): void {
  const names = limitNamesIn(config)
  metrics.observe('corral.quota.utilization', () => {
    const points = new Map<string, { labels: readonly string[]; value: number }>()
    governance.eachCounter?.(({ label, unit, period, limit }, { remaining }) => {
      const labels = [names.get(label) ?? overflowLabel, unit, unit === 'slots' ? '' : period]
      const value = limit > 0 ? Math.max(0, 1 - remaining / limit) : 1
      const known = points.get(labels.join())
      if (!known || known.value < value) points.set(labels.join(), { labels, value })
    })
    return [...points.values()]
  })
  metrics.observe('corral.telemetry.dropped', () => {
    const { lostEntries: lostLines } = governance
    return lostLines === undefined ? [] : [{ labels: ['ledger'], value: lostLines }]
  })
}

/** Registered models alone, with the storage that holds them: for a server that has nothing else to keep. */
export async function openStoredModels(config: Config, events: Events): Promise<StoredModels> {
  const storage = await openStorage(config.storage, { events })
  const stored = createStoredModels({ database: storage.records, policy: config.accessPolicy, events })
  return {
    current: () => stored.current(),
    ready: stored.ready,
    create: (call, model) => stored.create(call, model),
    delete: (call, model) => stored.delete(call, model),
    async [Symbol.asyncDispose]() {
      await stored[Symbol.asyncDispose]()
      await storage[Symbol.asyncDispose]()
    },
  }
}

/** What the audit log says of the policies in force; the digest tells whether they are others than before. */
export function policiesIn({ auth, accessPolicy, routePolicy, quota, written }: Config): Readonly<Record<string, unknown>> {
  return {
    authenticators: auth?.authenticators.map(({ type }) => type) ?? [],
    access_rules: accessPolicy.isDefault ? 'default' : accessPolicy.rules?.filter(({ index }) => index !== undefined).length,
    route_rules: routePolicy?.rules?.length ?? 0,
    limits: quota.limits.length,
    digest: createHash('sha256')
      .update(JSON.stringify(written ?? {}))
      .digest('hex'),
  }
}
