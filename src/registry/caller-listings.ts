import { createHash } from 'node:crypto'
import type { Call, ProviderData } from '../call.ts'
import { indexOffers, toOffers, type KnownBetter, type OfferIndex } from './offers.ts'
import type { LiveProvider } from './providers.ts'

/** How much is kept of what callers' own keys list, and for how long. Times in milliseconds. */
export interface CallerListingLimits {
  /** Credentials, counted once for each provider. */
  entries: number
  /** Models of all entries together. */
  models: number
  /** Listings that run at once; what is over is not listed. */
  running: number
  /** How long a listing counts. */
  fresh: number
  /** How long a failure counts before the provider is asked again. */
  failed: number
  /** That one listing may take. */
  attempt: number
}

export const usualCallerLimits: CallerListingLimits = {
  entries: 1_000,
  models: 50_000,
  running: 64,
  fresh: 300_000,
  failed: 30_000,
  attempt: 30_000,
}

interface Entry {
  index: OfferIndex | undefined
  /** `performance.now()` until which it counts. */
  until: number
  running: Promise<void> | undefined
}

/**
 * The models that callers' own provider keys list. Kept per provider and SHA-256 of what the caller sent, so that nobody sees another's;
 * the least recently used go first. The keys themselves are not kept.
 */
export interface CallerListings {
  /** What is known for this caller now. */
  peek(live: LiveProvider, call: Call): OfferIndex | undefined
  /** Whether asking may tell more than `peek` does. */
  unsure(live: LiveProvider, call: Call): boolean
  /** Asks the provider, or joins who does so already. Resolves when the answer is there or will not come; never rejects. Goes on when the caller leaves. */
  ask(live: LiveProvider, call: Call): Promise<void>
  readonly size: number
  stop(): Promise<void>
}

export interface CallerListingsOptions {
  limits: CallerListingLimits
  /** For models whose provider does not say when they were created, Unix seconds. */
  created: number
  knownBetter: (providerId: string) => KnownBetter | undefined
  /** A listing failed: often because the caller's key is not good. */
  onFailure: (providerId: string, error: unknown) => void
}

export function createCallerListings({ limits, created, knownBetter, onFailure }: CallerListingsOptions): CallerListings {
  const entries = new Map<string, Entry>()
  const stopped = new AbortController()
  const hashes = new WeakMap<ProviderData, string>()
  let running = 0
  let models = 0

  function keyOf(live: LiveProvider, { providerData }: Call): string {
    let hash = hashes.get(providerData)
    if (hash === undefined) {
      hash = createHash('sha256').update(JSON.stringify(providerData)).digest('hex')
      hashes.set(providerData, hash)
    }
    return `${hash} ${live.id}`
  }

  /** The entry, now the most recently used. */
  function touch(key: string): Entry | undefined {
    const entry = entries.get(key)
    if (!entry) return undefined
    entries.delete(key)
    entries.set(key, entry)
    return entry
  }

  function evict(): void {
    for (const [key, entry] of entries) {
      if (entries.size <= limits.entries && models <= limits.models) return
      models -= entry.index?.offers.length ?? 0
      entries.delete(key)
    }
  }

  async function list(live: LiveProvider, call: Call, entry: Entry, key: string): Promise<void> {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(limits.attempt)])
    let index: OfferIndex | undefined
    try {
      const own: Call = { requestId: call.requestId, signal, principal: call.principal, providerData: call.providerData }
      const listed = (await live.provider?.listModels?.(own)) ?? []
      index = indexOffers(toOffers({ source: live, models: listed, created, knownBetter: knownBetter(live.id) }))
    } catch (error) {
      if (!stopped.signal.aborted) onFailure(live.id, error)
    }
    const kept = entries.get(key) === entry
    if (kept) models += (index?.offers.length ?? 0) - (entry.index?.offers.length ?? 0)
    entry.index = index
    entry.until = performance.now() + (index ? limits.fresh : limits.failed)
    entry.running = undefined
    running -= 1
    if (kept) evict()
  }

  return {
    get size() {
      return entries.size
    },
    peek: (live, call) => touch(keyOf(live, call))?.index,
    unsure(live, call) {
      const entry = entries.get(keyOf(live, call))
      return !entry || entry.running !== undefined || entry.until <= performance.now()
    },
    async ask(live, call) {
      const key = keyOf(live, call)
      const known = touch(key)
      if (known && (known.running || known.until > performance.now())) return known.running
      if (running >= limits.running || stopped.signal.aborted) return
      const entry = known ?? { index: undefined, until: 0, running: undefined }
      entries.set(key, entry)
      running += 1
      entry.running = list(live, call, entry, key)
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
