import { isDatabaseUnavailable } from '../storage/errors.ts'
import type { Storage } from '../storage/storage.ts'
import type { Events } from '../telemetry/events.ts'
import type { QuotaConfig } from './config.ts'
import type { QuotaStore } from './counters.ts'
import { createGovernance } from './create-governance.ts'
import type { Governance } from './governance.ts'
import { openLedger } from './ledger.ts'
import { createLimiter } from './limiter.ts'
import { createPrices, type ProviderPricing } from './prices.ts'
import { createSplitStore } from './split-store.ts'
import { createMemoryStore } from './stores/memory.ts'
import { createRedisStore } from './stores/redis.ts'
import { createSqlStore } from './stores/sql.ts'

interface GovernanceDeps {
  readonly storage: Storage
  readonly events: Pick<Events, 'dependencyFailed' | 'dependencyRecovered' | 'warning' | 'unexpected'>
  /** How responses are priced, by provider id. */
  readonly pricing: ReadonlyMap<string, ProviderPricing | undefined>
  /** Whether several processes count together. */
  readonly isShared: boolean
  /** Whether every inference is recorded. */
  readonly hasLedger: boolean
  /** Called when requests begin to be refused because nothing can be counted, and when that ends. */
  readonly onOutage?: (isUnavailable: boolean) => void
}

const dependency = 'quota store'

/** Limits, prices and ledger of a server, over the configured store. Throws an Error if there is no such store. */
export async function openGovernance(config: QuotaConfig, deps: GovernanceDeps): Promise<Governance> {
  const { storage, events, pricing, hasLedger } = deps
  const store = await openStore(config, deps)
  const failure = config.onStoreFailure ?? 'closed'
  const limiter = createLimiter({
    store,
    failure,
    events: {
      storeFailed(error) {
        events.dependencyFailed(dependency, error)
        if (failure === 'closed') deps.onOutage?.(true)
      },
      storeRecovered(unmetered) {
        events.dependencyRecovered(dependency)
        deps.onOutage?.(false)
        if (unmetered > 0)
          events.warning('Requests were admitted uncounted while the quota store was unavailable.', { requests: unmetered })
      },
    },
  })
  const prices = createPrices({
    overrides: config.prices ?? [],
    providers: pricing,
    onFailure: (error) => events.unexpected('the price catalogue', error),
  })
  const ledger = hasLedger ? openLedger(await storage.records.open(), { events }) : undefined
  return createGovernance({ config, limiter, prices, ledger })
}

/**
 * What is named, else the database of the records where several processes count (workers; replicas, whose records are in PostgreSQL). A process
 * that counts alone counts in memory; but days, weeks and months in the database of the records, for they outlive it.
 */
async function openStore({ store }: QuotaConfig, { storage, events, isShared }: GovernanceDeps): Promise<QuotaStore> {
  const options = {
    onFailure(error: unknown) {
      // An outage of the store is reported elsewhere, once.
      if (!isDatabaseUnavailable(error)) events.unexpected('deleting counts of windows that are over', error)
    },
  }
  if (!store) {
    const database = await storage.records.open()
    const records = createSqlStore(database, options)
    return isShared || database.engine === 'postgres' ? records : createSplitStore(createMemoryStore({ shared: true }), records)
  }
  const backend = 'path' in store ? ({ engine: 'sqlite', path: store.path } as const) : storage.backend(store.backend)
  if (!backend) throw new Error('server.quota counts in a backend that there is not in storage.backends.')
  if (backend.engine === 'redis') return createRedisStore(backend, { namespace: store.namespace })
  return createSqlStore(await storage.open(backend), options)
}
