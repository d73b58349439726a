import type { QuotaStore } from '../../src/quota/counters.ts'
import { createMemoryStore } from '../../src/quota/stores/memory.ts'
import { createRedisStore } from '../../src/quota/stores/redis.ts'
import { createSqlStore } from '../../src/quota/stores/sql.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines, redis } from '../../src/testing/engines.ts'

/** One place where counts are shared, empty at first. */
interface TestPlace extends AsyncDisposable {
  /** A store with a connection of its own, as another process would have. */
  open(options?: { contentionPeriod?: number; namespace?: string }): Promise<QuotaStore>
}

interface TestStore {
  readonly name: string
  place(): Promise<TestPlace>
}

const memory: TestStore = {
  name: 'memory',
  async place() {
    const known = new Map<string, QuotaStore>()
    return {
      async open({ contentionPeriod, namespace = '' } = {}) {
        const store =
          known.get(namespace) ?? createMemoryStore({ shared: true, ...(contentionPeriod !== undefined && { contentionPeriod }) })
        known.set(namespace, store)
        return store
      },
      async [Symbol.asyncDispose]() {},
    }
  },
}

const sql: readonly TestStore[] = engines.map((engine) => ({
  name: engine.name,
  async place() {
    const fresh = await engine.fresh()
    const open = new AsyncDisposableStack()
    return {
      async open(options) {
        const database = open.use(await openDatabase(fresh.backend))
        return open.use(createSqlStore(database, options))
      },
      async [Symbol.asyncDispose]() {
        await open[Symbol.asyncDispose]()
        await fresh[Symbol.asyncDispose]()
      },
    }
  },
}))

const onRedis: readonly TestStore[] = redis
  ? [redis].map((server) => ({
      name: 'redis',
      async place() {
        const prefix = server.freshPrefix()
        const open = new AsyncDisposableStack()
        return {
          open: async ({ namespace = '', ...options } = {}) =>
            open.use(createRedisStore(server.backend, { namespace: `${prefix}${namespace}`, ...options })),
          [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
        }
      },
    }))
  : []

/** Every store there is here; PostgreSQL and Redis with `npm run test:services`. */
export const stores: readonly TestStore[] = [memory, ...sql, ...onRedis]
