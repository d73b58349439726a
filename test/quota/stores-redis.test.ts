import { describe, expect, test } from 'bun:test'
import { type StoreExchange, WindowExpired } from '../../src/quota/counters.ts'
import { createLimiter } from '../../src/quota/limiter.ts'
import { createRedisStore } from '../../src/quota/stores/redis.ts'
import { graceOf, windowAt } from '../../src/quota/windows.ts'
import { RedisFailure } from '../../src/runtime/redis.ts'
import { Secret } from '../../src/secret.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { redis, type TestRedis } from '../../src/testing/engines.ts'
import { proxyTo } from '../storage/proxy.ts'

const window = windowAt('day', Date.now())
const ask = (more: Partial<StoreExchange> = {}): StoreExchange => {
  return { counter: 'counter', window, limit: 100, returned: 0, owed: 0, atLeast: 1, wanted: 1, leased: 0, ...more }
}

/** Where there is a Redis: `npm run test:services`. */
const servers: readonly TestRedis[] = redis ? [redis] : []

for (const server of servers) {
  const { backend, url } = server
  describe('Redis', () => {
    test('[QUO-12] keys are gone some time after their window, and those of slots after the last hold', async () => {
      const namespace = server.freshPrefix()
      await using store = createRedisStore(backend, { namespace })
      await store.exchange(ask())
      await store.hold({ counter: 'slots', holder: 'me', limit: 5, keep: 0, atLeast: 1, slots: 1, ttl: 10_000, sequence: 1 })
      const client = new Bun.RedisClient(url)
      const expiry = async (key: string) => Number(await client.send('PEXPIRETIME', [`${namespace}quota:${key}`]))
      expect(await expiry(`counter:${window.start}`)).toBe(window.end + graceOf(window))
      const left = (await expiry('slots:counter')) - Date.now()
      expect(left).toBeLessThanOrEqual(0)
      const slots = (await expiry('slots:slots')) - Date.now()
      expect(slots).toBeGreaterThan(50_000)
      expect(slots).toBeLessThanOrEqual(70_000)
      client.close()
    })

    test('[QUO-14] a connection that is cut fails the call, and the next connects anew', async () => {
      await using proxy = await proxyTo(backend)
      await using store = createRedisStore({ ...backend, host: '127.0.0.1', port: proxy.port }, { namespace: server.freshPrefix() })
      expect((await store.exchange(ask())).taken).toBe(1)
      await proxy.cut()
      expect(await failureOf(store.exchange(ask()))).toBeInstanceOf(RedisFailure)
      await proxy.restore()
      expect((await store.exchange(ask())).remaining).toBe(98)
    })

    test('[QUO-14] a Redis that does not reply fails after its time, and is connected to anew', async () => {
      await using proxy = await proxyTo(backend)
      const options = { namespace: server.freshPrefix(), timeout: 200 }
      await using store = createRedisStore({ ...backend, host: '127.0.0.1', port: proxy.port }, options)
      await store.exchange(ask())
      proxy.block()
      const failures = await Promise.all(Array.from({ length: 50 }, () => failureOf(store.exchange(ask()))))
      expect(failures.every((error) => error instanceof RedisFailure)).toBe(true)
      await proxy.restore()
      expect((await store.exchange(ask())).taken).toBe(1)
    })

    test('[QUO-14] a limiter over it goes on by itself after an outage', async () => {
      await using proxy = await proxyTo(backend)
      const store = createRedisStore({ ...backend, host: '127.0.0.1', port: proxy.port }, { namespace: server.freshPrefix(), timeout: 200 })
      const events: string[] = []
      const reported = { storeFailed: () => events.push('failed'), storeRecovered: () => events.push('back') }
      await using limiter = createLimiter({ store, failure: 'closed', events: reported })
      const counter = { id: 'limited', unit: 'requests', limit: 1_000_000, period: 'day', label: 'limited' } as const
      const request = async (amount: number) => {
        const reply = await limiter.reserve([{ counter, amount }])
        return 'settle' in reply
      }
      expect(await request(1000)).toBe(true)
      await proxy.cut()
      expect(await failureOf(request(100_000))).toMatchObject({ status: 503 })
      await proxy.restore()
      while (!(await request(100_000).catch(() => false))) await Bun.sleep(20)
      expect(events).toEqual(['failed', 'back'])
    })

    test('[QUO-15] user and password are shown, and wrong ones refused', async () => {
      const client = new Bun.RedisClient(url)
      const [user, password] = [`user-${crypto.randomUUID()}`, 'p@ss:word/?#']
      await client.send('ACL', ['SETUSER', user, 'on', `>${password}`, '~*', '+@all'])
      const options = { namespace: server.freshPrefix(), timeout: 500 }
      await using right = createRedisStore({ ...backend, user, password: new Secret(password) }, options)
      expect((await right.exchange(ask())).taken).toBe(1)
      await using wrong = createRedisStore({ ...backend, user, password: new Secret('guess') }, options)
      const failure = await failureOf(wrong.exchange(ask()))
      expect(failure).toBeInstanceOf(RedisFailure)
      expect(String(failure)).not.toContain('guess')
      expect(Bun.inspect(failure)).not.toContain('guess')
      await client.send('ACL', ['DELUSER', user])
      client.close()
    })

    test('[QUO-15] with TLS nothing is said to a server that does not speak it', async () => {
      await using store = createRedisStore({ ...backend, tls: true }, { namespace: server.freshPrefix(), timeout: 500 })
      expect(await failureOf(store.exchange(ask()))).toBeInstanceOf(RedisFailure)
    })

    test('[QUO-8] a script that Redis has forgotten is sent again; an error of a script is rold', async () => {
      const namespace = server.freshPrefix()
      await using store = createRedisStore(backend, { namespace })
      await store.exchange(ask())
      const client = new Bun.RedisClient(url)
      await client.send('SCRIPT', ['FLUSH'])
      expect((await store.exchange(ask())).remaining).toBe(98)
      expect(await failureOf(store.exchange(ask({ window: windowAt('day', 0) })))).toBeInstanceOf(WindowExpired)
      await client.set(`${namespace}quota:text:${window.start}`, 'no hash')
      client.close()
      expect(await failureOf(store.exchange(ask({ counter: 'text' })))).toBeInstanceOf(RedisFailure)
    })
  })
}
