import { openRedis } from '../../runtime/redis.ts'
import type { RedisBackend } from '../../storage/config.ts'
import { type StoreExchangeReply, type HoldReply, type QuotaStore, WindowExpired } from '../counters.ts'
import { graceOf } from '../windows.ts'
import { exchangeScript, holdScript } from './redis-scripts.ts'
import { leaseShare, defaultContentionPeriod } from './rules.ts'

interface RedisStoreOptions {
  /** Prefix of every key, before `:quota:`. Default: the backend’s namespace, else `corral`. */
  readonly namespace?: string | undefined
  /** Milliseconds for connecting, and for a reply. Default: 1000. */
  readonly timeout?: number
  readonly contentionPeriod?: number
}

const defaultNamespace = 'corral'

/**
 * Counts in Redis (5 or later, or Valkey): a hash for each window of a counter, gone some time after the window's end, and one for the holders of
 * slots. Each question is one script, and what is over is decided by Redis's clock.
 *
 * What Redis forgets can be used again: a Redis that is restarted without its data (`appendfsync always` keeps all), fails over to a replica that lags,
 * or evicts keys (`maxmemory-policy` other than `noeviction`) leaves limits uncounted from there on.
 */
export function createRedisStore(backend: RedisBackend, options: RedisStoreOptions = {}): QuotaStore {
  const { contentionPeriod = defaultContentionPeriod } = options
  const { host, port, user, password, tls } = backend
  const redis = openRedis({ host, port, user, password: password?.reveal(), tls, ...(options.timeout && { timeout: options.timeout }) })
  const prefix = `${(options.namespace ?? backend.namespace ?? defaultNamespace).replace(/:$/, '')}:quota`
  return {
    shared: true,
    async exchange({ counter, window, limit, returned, owed, atLeast, wanted, leased }): Promise<StoreExchangeReply> {
      const forgetAt = window.end + graceOf(window)
      const key = `${prefix}:${counter}:${window.start}`
      const args = [limit, returned, owed, atLeast, wanted, leased, forgetAt, contentionPeriod, leaseShare]
      const reply = numbers(await redis.evaluate(exchangeScript, key, args), 4)
      if (!reply) throw new WindowExpired(window)
      const [taken = 0, all = limit, unused = 0, isWanted] = reply
      return { taken, remaining: limit - all, leased: unused, contended: isWanted === 1 }
    },
    async hold({ counter, holder, limit, keep, atLeast, slots, ttl, sequence }): Promise<HoldReply> {
      const args = [holder, limit, keep, atLeast, slots, ttl, sequence, contentionPeriod, leaseShare]
      const reply = numbers(await redis.evaluate(holdScript, `${prefix}:slots:${counter}`, args), 3)
      if (!reply) throw new Error('the slot script always replies')
      const [held = 0, others = limit, isWanted] = reply
      return { held, others, contended: isWanted === 1 }
    },
    async [Symbol.asyncDispose]() {
      redis[Symbol.dispose]()
    },
  }
}

/** The result of a script; undefined for an empty list. Throws TypeError otherwise. */
function numbers(reply: unknown, count: number): readonly number[] | undefined {
  if (!Array.isArray(reply) || (reply.length !== 0 && reply.length !== count)) throw new TypeError('Redis gave no list of numbers')
  return reply.length === 0 ? undefined : reply.map(Number)
}
