import { createHash } from 'node:crypto'
import type { Call, ProviderData } from '../call.ts'
import { indexEntries, toCatalogEntries, type ModelOverrides, type CatalogIndex } from './catalog-entries.ts'
import type { InferenceInstance } from './providers.ts'

/** How much is kept of what callers' own keys list, and for how long. Times in milliseconds. */
export interface CallerListingLimits {
  /** Credentials, counted once for each provider. */
  maxEntries: number
  /** Models of all entries together. */
  maxModels: number
  /** Concurrent listings; further ones are skipped. */
  maxRunning: number
  /** How long a listing is cached. */
  freshFor: number
  /** How long a failure is cached. */
  failureFor: number
  /** Of one listing. */
  timeout: number
}

export const defaultCallerListingLimits: CallerListingLimits = {
  maxEntries: 1_000,
  maxModels: 50_000,
  maxRunning: 64,
  freshFor: 300_000,
  failureFor: 30_000,
  timeout: 30_000,
}

interface CallerListing {
  index: CatalogIndex | undefined
  /** `performance.now()` until which it counts. */
  until: number
  running: Promise<void> | undefined
}

/**
 * The models that callers' own provider keys list. Cached by provider and SHA-256 of the caller's credentials, so that callers do not share entries;
 * the least recently used are evicted first. The keys themselves are not stored.
 */
export interface CallerListings {
  /** The cached listing of this caller. */
  peek(instance: InferenceInstance, call: Call): CatalogIndex | undefined
  /** Whether a refresh may change what `peek` returns. */
  mayChange(instance: InferenceInstance, call: Call): boolean
  /** Lists the models, or joins a running listing. Resolves when it ends; never rejects. Continues when the caller disconnects. */
  refresh(instance: InferenceInstance, call: Call): Promise<void>
  readonly size: number
  stop(): Promise<void>
}

interface CallerListingsOptions {
  limits: CallerListingLimits
  /** For models whose provider does not say when they were created, Unix seconds. */
  created: number
  overrides: (providerId: string) => ModelOverrides | undefined
  /** A listing failed: often because the caller's key is invalid. */
  onFailure: (providerId: string, error: unknown) => void
}

export function createCallerListings({ limits, created, overrides, onFailure }: CallerListingsOptions): CallerListings {
  const entries = new Map<string, CallerListing>()
  const stopped = new AbortController()
  const hashes = new WeakMap<ProviderData, string>()
  let running = 0
  let models = 0

  function keyOf(instance: InferenceInstance, { providerData }: Call): string {
    let hash = hashes.get(providerData)
    if (hash === undefined) {
      hash = createHash('sha256').update(JSON.stringify(providerData)).digest('hex')
      hashes.set(providerData, hash)
    }
    return `${hash} ${instance.id}`
  }

  /** The entry, now the most recently used. */
  function touch(key: string): CallerListing | undefined {
    const entry = entries.get(key)
    if (!entry) return undefined
    entries.delete(key)
    entries.set(key, entry)
    return entry
  }

  function evict(): void {
    for (const [key, entry] of entries) {
      if (entries.size <= limits.maxEntries && models <= limits.maxModels) return
      models -= entry.index?.entries.length ?? 0
      entries.delete(key)
    }
  }

  async function list(instance: InferenceInstance, call: Call, entry: CallerListing, key: string): Promise<void> {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(limits.timeout)])
    let index: CatalogIndex | undefined
    try {
      const own: Call = { requestId: call.requestId, signal, principal: call.principal, providerData: call.providerData }
      const listed = (await instance.provider?.listModels?.(own)) ?? []
      index = indexEntries(toCatalogEntries({ source: instance, models: listed, created, overrides: overrides(instance.id) }))
    } catch (error) {
      if (!stopped.signal.aborted) onFailure(instance.id, error)
    }
    const kept = entries.get(key) === entry
    if (kept) models += (index?.entries.length ?? 0) - (entry.index?.entries.length ?? 0)
    entry.index = index
    entry.until = performance.now() + (index ? limits.freshFor : limits.failureFor)
    entry.running = undefined
    running -= 1
    if (kept) evict()
  }

  return {
    get size() {
      return entries.size
    },
    peek: (instance, call) => touch(keyOf(instance, call))?.index,
    mayChange(instance, call) {
      const entry = entries.get(keyOf(instance, call))
      return !entry || entry.running !== undefined || entry.until <= performance.now()
    },
    async refresh(instance, call) {
      const key = keyOf(instance, call)
      const known = touch(key)
      if (known && (known.running || known.until > performance.now())) return known.running
      if (running >= limits.maxRunning || stopped.signal.aborted) return
      const entry = known ?? { index: undefined, until: 0, running: undefined }
      entries.set(key, entry)
      running += 1
      entry.running = list(instance, call, entry, key)
      evict()
      await entry.running
    },
    async stop() {
      stopped.abort()
      await Promise.all([...entries.values()].flatMap((entry) => entry.running ?? []))
      entries.clear()
    },
  }
}
