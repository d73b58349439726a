import type { Readiness } from '../api/health/readiness.ts'
import type { Config } from '../config/config.ts'
import type { Governance } from '../quota/governance.ts'
import { openGovernance } from '../quota/open.ts'
import type { Storage } from '../storage/storage.ts'
import type { Events } from '../telemetry/events.ts'
import type { Metrics } from '../telemetry/metrics/create-metrics.ts'
import { overflowLabel } from '../telemetry/metrics/instruments.ts'

export interface ServerGovernanceDeps {
  readonly storage: Storage
  readonly events: Events
  readonly readiness: Readiness
  readonly hasLedger: boolean
}

/** Limits, prices and the ledger of `server.quota`. */
export async function createServerGovernance({ quota, providers, server }: Config, deps: ServerGovernanceDeps): Promise<Governance> {
  const { storage, events, readiness, hasLedger } = deps
  let isUnavailable = false
  readiness.addReadinessCheck('the quota store is unavailable', () => !isUnavailable)
  return await openGovernance(quota, {
    events,
    storage,
    onOutage: (now) => (isUnavailable = now),
    pricing: new Map(providers.map(({ id, definition }) => [id, definition.api === 'inference' ? definition.pricing : undefined])),
    isShared: server.workers > 1,
    hasLedger,
  })
}

/** Adds to `/metrics` the utilization of each configured limit by its largest consumer, without naming the consumer. */
export function measureGovernance(metrics: Metrics, governance: Governance): void {
  metrics.observe('corral.quota.utilization', () => {
    const points = new Map<string, { labels: readonly string[]; value: number }>()
    governance.eachCounter?.(({ limitName, unit, period, limit }, { remaining }) => {
      const labels = [limitName ?? overflowLabel, unit, unit === 'slots' ? '' : period]
      const value = limit > 0 ? Math.max(0, 1 - remaining / limit) : 1
      const known = points.get(labels.join())
      if (!known || known.value < value) points.set(labels.join(), { labels, value })
    })
    return [...points.values()]
  })
  metrics.observe('corral.telemetry.dropped', () => {
    const { lostEntries } = governance
    return lostEntries === undefined ? [] : [{ labels: ['ledger'], value: lostEntries }]
  })
}
