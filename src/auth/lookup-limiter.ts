import ipaddr from 'ipaddr.js'
import { ApiError, unavailable } from '../errors.ts'
import type { LookupLimits } from './config.ts'
import { serviceTimeout } from './refusal.ts'
import { BoundedMap } from '../bounded-map.ts'

/** Seconds. */
const minRetryAfter = 1

interface QueuedLookup {
  start(): void
}

/** Addresses whose refusals are counted. */
const maxGroups = 10_000

interface Bucket {
  /** Refusals that are still allowed. */
  level: number
  /** Milliseconds of the epoch, when `level` was true. */
  at: number
}

interface LookupLimiterOptions extends LookupLimits {
  /** Milliseconds that a look-up may wait for its turn. */
  readonly queueTimeout: number
  readonly now: () => number
}

/**
 * Limits look-ups at an identity service: concurrent and queued ones, of which one client address gets half at most; and an address that sent
 * many invalid credentials must wait before another unknown one is looked up.
 */
export class LookupLimiter {
  readonly #options: LookupLimiterOptions
  readonly #maxPerClient: number
  #running = 0
  #queue: QueuedLookup[] = []
  /** Look-ups that run or wait, by address. */
  readonly #inFlight = new Map<string, number>()
  readonly #buckets = new BoundedMap<string, Bucket>(maxGroups)

  constructor(options: LookupLimiterOptions) {
    this.#options = options
    this.#maxPerClient = Math.max(1, Math.ceil((options.concurrent + options.queued) / 2))
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** Runs `work` when it is its turn. Throws ApiError 503 (too much at once), 429 (this address showed too many bad credentials). */
  async run<T>(address: string | undefined, work: () => Promise<T>): Promise<T> {
    const group = groupOf(address)
    this.#assertNotThrottled(group)
    const inFlight = this.#inFlight.get(group) ?? 0
    const full = this.#running >= this.#options.concurrent && this.#queue.length >= this.#options.queued
    if (full || inFlight >= this.#maxPerClient) {
      throw unavailable('Too many credentials are being checked at the moment', minRetryAfter, {
        cause: new Error(
          full
            ? 'the maximum number of concurrent and queued lookups is reached'
            : 'this client address has reached its share of the lookups',
        ),
      })
    }
    this.#inFlight.set(group, inFlight + 1)
    try {
      if (this.#running < this.#options.concurrent) this.#running += 1
      else await this.#waitInQueue()
      try {
        return await work()
      } finally {
        this.#next()
      }
    } finally {
      const left = (this.#inFlight.get(group) as number) - 1
      if (left > 0) this.#inFlight.set(group, left)
      else this.#inFlight.delete(group)
    }
  }

  /** A look-up for this address ended in a refusal. */
  refused(address: string | undefined): void {
    const { refusalsPerMinute: rate, now } = this.#options
    if (rate === 0) return
    const group = groupOf(address)
    const bucket = this.#buckets.get(group)
    const level = Math.max(0, this.#level(bucket) - 1)
    // The group whose last refusal is oldest is evicted.
    this.#buckets.set(group, { level, at: now() })
  }

  #level(bucket: Bucket | undefined): number {
    const { refusalsPerMinute: rate, now } = this.#options
    return bucket ? Math.min(rate, bucket.level + ((now() - bucket.at) / 60_000) * rate) : rate
  }

  #assertNotThrottled(group: string): void {
    const { refusalsPerMinute: rate } = this.#options
    const bucket = this.#buckets.get(group)
    if (rate === 0 || !bucket || this.#level(bucket) >= 1) return
    throw new ApiError('rate_limit_error', 'Too many invalid credentials from this address', {
      code: 'too_many_bad_credentials',
      headers: { 'retry-after': String(Math.max(minRetryAfter, Math.ceil(60 / rate))) },
      denial: { by: 'authentication', reason: 'too many invalid credentials from this address' },
    })
  }

  /** The first in the queue takes the free slot. */
  #next(): void {
    const next = this.#queue.shift()
    if (next) next.start()
    else this.#running -= 1
  }

  #waitInQueue(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#queue = this.#queue.filter((other) => other !== waiting)
      reject(serviceTimeout(new Error('timed out waiting to look up the credential')))
    }, this.#options.queueTimeout)
    const waiting: QueuedLookup = {
      start() {
        clearTimeout(timer)
        resolve()
      },
    }
    this.#queue.push(waiting)
    return promise
  }
}

/** An IPv6 customer has a whole /64 of addresses. */
function groupOf(address: string | undefined): string {
  if (address === undefined || !address.includes(':') || !ipaddr.IPv6.isValid(address)) return address ?? ''
  const parsed = ipaddr.IPv6.parse(address)
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString()
  return parsed.parts.slice(0, 4).join(':')
}
