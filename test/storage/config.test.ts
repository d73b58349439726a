import { describe, expect, test } from 'bun:test'
import { Secret } from '../../src/secret.ts'
import type { StorageConfig } from '../../src/storage/config.ts'
import { load, problems, warnings, withConfig } from '../config/loading.ts'

const one = withConfig('mode: fast')

async function storageOf(text: string, env: Record<string, string> = {}): Promise<StorageConfig> {
  return (await load(`${one}\n${text}`, { env })).config.storage
}

const withStores = (stores: string) => `storage:
  backends:
    kv_default: { type: kv_sqlite, db_path: "\${env.DIR:=~/.x}/kv.db" }
    kv_shared: { type: kv_redis, host: cache, namespace: corral }
    sql_default: { type: sql_postgres, host: db, port: "\${env.DB_PORT:=5433}", pool_size: 3, max_overflow: 5 }
  stores: { ${stores} }`

const postgres = { engine: 'postgres', host: 'db', port: 5433, poolSize: 3 } as const

const mongo = (stores: string) => `${one}\nstorage: { backends: { m: { type: kv_mongodb, host: h } }, stores: { ${stores} } }`

describe('where records are kept', () => {
  test("[STO-1] a file in Corral's home, unless the configuration names a database", async () => {
    expect(await storageOf('')).toEqual({
      backends: {},
      records: { engine: 'sqlite', path: '/home/me/.corral/corral.db' },
      recordsConfigured: false,
    })
    expect((await storageOf('', { CORRAL_HOME: '/data/corral' })).records).toEqual({ engine: 'sqlite', path: '/data/corral/corral.db' })
    expect((await storageOf('storage: { backends: {}, stores: }')).recordsConfigured).toBe(false)
  })

  test('[STO-2] in the backend of stores.metadata, else of the first SQL store, else in sql_default', async () => {
    const metadata = await storageOf(
      withStores('metadata: { backend: kv_default, namespace: registry }, inference: { backend: sql_default }'),
    )
    expect(metadata).toMatchObject({ records: { engine: 'sqlite', path: '/home/me/.x/kv.db' }, recordsConfigured: true })
    expect(metadata.backends['kv_shared']).toMatchObject({ engine: 'redis', host: 'cache', port: 6379, namespace: 'corral' })
    expect((await storageOf(withStores('inference: { backend: sql_default }'))).records).toMatchObject(postgres)
    expect((await storageOf(withStores('responses: null'))).records).toMatchObject(postgres)
    const others = `storage: { backends: { a: { type: sql_sqlite, db_path: a.db }, b: { type: sql_sqlite, db_path: ":memory:" } } }`
    expect(await storageOf(others)).toEqual({
      backends: { a: { engine: 'sqlite', path: '/nowhere/a.db' }, b: { engine: 'sqlite', path: ':memory:' } },
      records: { engine: 'sqlite', path: '/home/me/.corral/corral.db' },
      recordsConfigured: false,
    })
  })

  test('[STO-3] Redis keeps no records: a warning says where they go', async () => {
    const text = `${one}\n${withStores('metadata: { backend: kv_shared }, conversations: { backend: sql_default }, prompts: { backend: kv_shared }')}`
    expect((await load(text)).config.storage.records).toMatchObject(postgres)
    expect(await warnings(text)).toEqual([
      '13:13 storage.stores.metadata: Redis keeps counters, not records: keys and registered models are kept in the PostgreSQL at db',
      '13:47 storage.stores.conversations: is not used by this version yet',
      '13:88 storage.stores.prompts: is not used by this version yet',
    ])
    const alone = `${one}\nstorage: { backends: { r: { type: kv_redis } }, stores: { metadata: { backend: r } } }`
    expect(await warnings(alone)).toEqual([
      "8:59 storage.stores.metadata: Redis keeps counters, not records: keys and registered models are kept in a file in Corral's home",
    ])
  })

  test('records in memory are warned of', async () => {
    const text = `${one}\nstorage: { backends: { m: { type: kv_sqlite, db_path: ":memory:" } }, stores: { metadata: { backend: m } } }`
    expect((await load(text)).config.storage.records).toEqual({ engine: 'sqlite', path: ':memory:' })
    expect(await warnings(text)).toEqual([
      '8:1 storage: records are kept in memory: they are gone when the process ends, and every process has its own',
    ])
  })

  test('[STO-3] MongoDB is a start error where a store names it, and a warning where none does', async () => {
    expect(await problems(mongo('metadata: { backend: m }'))).toEqual([
      "8:82 storage.stores.metadata.backend: references backend 'm', and MongoDB is not supported: use kv_sqlite or kv_postgres",
    ])
    expect(await warnings(mongo(''))).toEqual([
      '8:24 storage.backends.m: has no effect: MongoDB is not supported: use kv_sqlite or kv_postgres',
    ])
  })

  test('[STO-4] the store of the records must name a backend that there is', async () => {
    const stores = 'metadata: { backend: kv_defaul }, connectors: { backend: nope }'
    expect(await problems(`${one}\n${withStores(stores)}`)).toEqual([
      "13:25 storage.stores.metadata.backend: references unknown backend 'kv_defaul'. Available backends: kv_default, kv_shared, sql_default. Did you mean 'kv_default'?",
    ])
    expect(await problems(`${one}\nstorage: { backends: { sql_default: { type: sql_postgres, ssl_mode: verify_full } } }`)).toEqual([
      '8:59 storage.backends.sql_default.ssl_mode: must be one of "disable"|"allow"|"prefer"|"require"|"verify-ca"|"verify-full"',
    ])
  })

  test('[REL-3] a store may name a kv_* or a sql_* backend, and one that is not used cannot stop the start', async () => {
    const bySql = withStores('metadata: { backend: sql_default }, prompts: { backend: kv_default }')
    const byKv = withStores('metadata: { backend: kv_default }, prompts: { backend: sql_default }')
    expect((await storageOf(bySql)).records).toMatchObject(postgres)
    expect((await storageOf(byKv)).records).toMatchObject({ engine: 'sqlite' })
    const text = `${one}\nstorage: { backends: { a: { type: sql_oracle }, b: { type: kv_redis, prt: 1, host: "\${env.NOT_SET}" } }, stores: { prompts: { backend: nope }, vector_stores: { backend: a } } }`
    const warned = (await warnings(text)).join('\n')
    for (const part of ['backends.a.type: ', 'backends.b.prt: ', 'backends.b.host: ', 'stores.prompts.backend: references unknown']) {
      expect(warned).toContain(part)
    }
    expect(await problems(text, { strict: true })).toHaveLength(4)
  })

  test('[REL-3] the backends that the records depend on are used, those after them are not', async () => {
    const backends = '{ kv: { type: kv_sqlite, db_path: kv.db }, sql: { type: sql_postgres, port: x } }'
    const with2 = (stores: string) => `${one}\nstorage: { backends: ${backends}, stores: { ${stores} } }`
    const behind = await load(with2('metadata: { backend: kv }, inference: { backend: sql }'))
    expect(behind.config.storage.records).toMatchObject({ engine: 'sqlite', path: '/nowhere/kv.db' })
    expect(behind.warnings.map(({ path }) => path)).toContain('storage.backends.sql.port')
    const depended = [expect.stringContaining('storage.backends.sql.port: must be a number, not a string') as string]
    expect(await problems(with2('metadata: { backend: sql }'))).toEqual(depended)
    expect(await problems(with2('inference: { backend: sql }'))).toEqual(depended)
  })

  test('[REL-3] a backend that limits are counted in is used', async () => {
    const quota = 'server: { quota: { anonymous_max_requests: 1, kvstore: { backend: c } } }'
    expect(await problems(`${one}\n${quota}\nstorage: { backends: { c: { type: kv_redis, port: x } } }`)).toEqual(
      [
        expect.stringContaining('storage.backends.c.port: must be a number, not a string') as string,
        expect.stringContaining("references unknown backend 'c'") as string,
      ].toReversed(),
    )
  })

  test('[STO-4] every field of PostgreSQL and Redis is read; passwords cannot be printed, also those of digits alone', async () => {
    const text = `storage:
  backends:
    pg: { type: kv_postgres, host: h, port: 1, db: d, user: u, password: "\${env.PW}", schema: s, ssl_mode: verify-full, ca_cert_path: ~/ca.pem, table_name: t, namespace: n }
    rd: { type: kv_redis, host: r, port: 2, user: u, password: "\${env.PW}", tls: true }
  stores: { metadata: { backend: pg } }`
    const { backends, records } = await storageOf(text, { PW: '0123456789' })
    expect(records as unknown).toEqual(backends['pg'])
    expect(backends['pg']).toEqual({
      engine: 'postgres',
      host: 'h',
      port: 1,
      database: 'd',
      user: 'u',
      password: expect.any(Secret) as Secret,
      schema: 's',
      sslMode: 'verify-full',
      caCertPath: '/home/me/ca.pem',
      poolSize: 10,
    })
    expect(backends['rd']).toMatchObject({ engine: 'redis', host: 'r', port: 2, user: 'u', tls: true })
    for (const backend of Object.values(backends)) {
      expect(backend.engine !== 'sqlite' && backend.password?.reveal()).toBe('0123456789')
    }
    expect(JSON.stringify(backends)).not.toContain('0123456789')
  })

  test('[STO-5] the older stores at the top level tell where records lie', async () => {
    const text = `metadata_store: { type: sqlite, db_path: "\${env.DIR:=~/x}/registry.db", namespace: null }
inference_store: { sql_store_config: { type: postgres, host: h, password: p }, num_writers: 4 }`
    expect(await storageOf(text)).toEqual({
      backends: {},
      records: { engine: 'sqlite', path: '/home/me/x/registry.db' },
      recordsConfigured: true,
    })
    expect(await warnings(`${one}\n${text}`)).toEqual(['9:1 inference_store: is not used by this version yet'])
    const [, second = ''] = text.split('\n')
    expect((await storageOf(second)).records).toMatchObject({ engine: 'postgres', host: 'h', port: 5432 })
    expect((await storageOf('metadata_store: { type: redis, host: h }')).recordsConfigured).toBe(false)
    expect(await problems(`${one}\nmetadata_store: { type: oracle }`)).toHaveLength(1)
    expect((await storageOf(`${text}\n${withStores('')}`)).records).toMatchObject(postgres)
  })
})
