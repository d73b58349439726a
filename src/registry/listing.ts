import { systemCall } from '../call.ts'
import type { ProviderModel } from '../providers/provider.ts'
import type { Events } from '../telemetry/events.ts'
import type { InferenceInstance } from './providers.ts'
import { sleep, startBackgroundTimer } from '../timing.ts'

/** Milliseconds. */
export interface ListingTimes {
  /** Between a failed listing and the first retry; doubles with every failure. */
  initialRetryDelay: number
  maxRetryDelay: number
  /** Of one listing. */
  timeout: number
  /** How long requests that name the provider wait for its first listing; afterwards they are sent although it still runs. */
  maxAwaited: number
}

export const defaultListingTimes: ListingTimes = { initialRetryDelay: 1_000, maxRetryDelay: 60_000, timeout: 30_000, maxAwaited: 10_000 }

interface ListingOptions {
  instance: InferenceInstance
  events: Events
  times: ListingTimes
  /** Milliseconds between two listings; undefined: one that succeeds is enough. */
  refreshEvery: number | undefined
  /** Called with each listing that succeeds. */
  onListed: (models: readonly ProviderModel[]) => void
}

/** The listing of one provider's models under the server's own key, in the background. */
export interface Listing {
  /** The first attempt is still running and has not exceeded `maxAwaited`. */
  readonly awaited: boolean
  /** The first attempt has succeeded or failed. */
  readonly tried: boolean
  /** Resolves when it is no longer awaited. Never rejects. */
  readonly notAwaited: Promise<void>
  /** Aborts the running listing and starts no other. */
  stop(): Promise<void>
}

/** Whether the provider's models can be listed under the server's own key. */
export function isListable({ provider }: InferenceInstance): boolean {
  return provider?.listModels !== undefined && provider.hasOwnKey
}

/** Starts and returns immediately. A failure is logged and retried with exponential backoff, without limit. */
export function startListing(options: ListingOptions): Listing {
  const { instance, times } = options
  const stopped = new AbortController()
  const first = Promise.withResolvers<void>()
  let awaited = isListable(instance)
  let tried = !awaited
  const outlast = (): void => {
    awaited = false
    first.resolve()
  }
  if (tried) {
    first.resolve()
    return { awaited, tried, notAwaited: first.promise, stop: async () => undefined }
  }
  const patience = setTimeout(outlast, times.maxAwaited)
  unref(patience)
  const settle = (): void => {
    tried = true
    outlast()
  }
  const running = keepListing(options, stopped.signal, settle)
  return {
    get awaited() {
      return awaited
    },
    get tried() {
      return tried
    },
    notAwaited: first.promise,
    async stop() {
      clearTimeout(patience)
      stopped.abort()
      await running
      settle()
    },
  }
}

async function keepListing(options: ListingOptions, signal: AbortSignal, settle: () => void): Promise<void> {
  const { instance, events, times, refreshEvery, onListed } = options
  let failures = 0
  let lastCount: number | undefined
  while (!signal.aborted) {
    let pause: number | undefined
    try {
      const models = await listOnce(instance, signal, times.timeout)
      onListed(models)
      if (models.length !== lastCount) events.listed(instance.id, models.length)
      lastCount = models.length
      failures = 0
      pause = refreshEvery
    } catch (error) {
      if (signal.aborted) return
      pause = retryDelay(failures, times)
      failures += 1
      lastCount = undefined
      // Logged with decreasing frequency: the 1st, 2nd, 4th, 8th … consecutive failure.
      if (Number.isInteger(Math.log2(failures))) events.listingFailed(instance.id, error, Math.round(pause))
    }
    settle()
    if (pause === undefined) return
    await sleep(pause, { signal, timer: startBackgroundTimer })
  }
}

async function listOnce({ provider }: InferenceInstance, signal: AbortSignal, limit: number): Promise<readonly ProviderModel[]> {
  const attempt = AbortSignal.any([signal, AbortSignal.timeout(limit)])
  return (await provider?.listModels?.(systemCall(`list-${crypto.randomUUID()}`, attempt))) ?? []
}

/** Exponential backoff with 20 % jitter, so that several servers do not retry at the same time. */
function retryDelay(failures: number, { initialRetryDelay, maxRetryDelay }: ListingTimes): number {
  return Math.min(initialRetryDelay * 2 ** failures, maxRetryDelay) * (0.8 + 0.4 * Math.random())
}

/** The process may end while this timer waits. */
function unref(timer: unknown): void {
  ;(timer as { unref?: () => void }).unref?.()
}
