import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { Secret } from '../secret.ts'
import type { Backend, PostgresBackend, SqliteBackend, StorageConfig } from '../storage/config.ts'
import { nearest } from './nearest.ts'
import { backendSchema, olderStoreSchema, storageSchema, storeKinds } from './schema-storage.ts'
import { expandHome, type Substitution, substitute } from './substitute.ts'
import { child, holdsNothing, type MapNode, shown, textOf, type TreeNode } from './tree.ts'
import { type Strictness, validate } from './validate.ts'

interface StorageReading extends Substitution {
  readonly strictness: Strictness
  /** Against which relative paths are meant. */
  readonly cwd: string
  /** Absolute. */
  readonly corralHome: string
}

type BackendSection = z.output<typeof backendSchema>
type StorageSection = z.output<typeof storageSchema>

/**
 * Reads `storage:` and the older stores at the top level. The records (keys, registered models, the ledger) lie in the backend of
 * `stores.metadata` where that is SQLite or PostgreSQL, else in the first `sql_*` backend that a store names, else in `sql_default`, else in the
 * older `metadata_store`, `inference_store` or `conversations_store`, else in a file in Corral's home.
 */
export function readStorage(root: MapNode, reading: StorageReading): StorageConfig {
  const section = child(root, 'storage')
  const expanded = section && !holdsNothing(section) ? substitute(section, reading) : undefined
  const values = expanded && !holdsNothing(expanded) ? readSection(expanded, reading) : undefined
  const older = readOlderStores(root, reading)
  const backends: Record<string, Backend> = {}
  for (const [name, backend] of Object.entries(values?.backends ?? {})) {
    const read = toBackend(backend, reading)
    if (read) backends[name] = read
  }
  const records = recordsAmong(values, backends) ?? older
  if (expanded && values) warnOfStores(expanded, { values, backends, records }, reading)
  const path = join(reading.corralHome, 'corral.db')
  return { backends, records: records ?? { engine: 'sqlite', path }, recordsConfigured: records !== undefined }
}

function readSection(expanded: TreeNode, reading: StorageReading): StorageSection | undefined {
  const before = reading.report.errors.length
  const values = validate(expanded, storageSchema, reading)
  if (reading.report.errors.length === before) checkStores(expanded, reading)
  return values
}

/** Every store must name a backend that there is, of the kind it needs. */
function checkStores(storage: TreeNode, { report }: StorageReading): void {
  const backends = child(storage, 'backends')
  const stores = child(storage, 'stores')
  if (stores?.kind !== 'map') return
  const names = backends?.kind === 'map' ? [...backends.entries.keys()] : []
  for (const [store, { node }] of stores.entries) {
    const reference = child(node, 'backend')
    const name = textOf(reference)
    const kind = storeKinds[store]
    if (!reference || name === undefined || !kind) continue
    if (!names.includes(name)) {
      report.error(
        reference,
        `references unknown backend ${shown(reference)}. Available backends: ${names.join(', ') || 'none'}.`,
        nearest(name, names),
      )
      continue
    }
    const type = textOf(child(child(backends, name), 'type'))
    if (type !== undefined && !type.startsWith(`${kind}_`)) {
      report.error(reference, `references backend ${shown(reference)} of type '${type}', but a backend of type ${kind}_* is required`)
    } else if (type === 'kv_mongodb') report.error(reference, `references backend ${shown(reference)}, and ${noMongo}`)
  }
}

const noMongo = 'MongoDB is not supported: use kv_sqlite or kv_postgres'

function recordsAmong(values: StorageSection | undefined, backends: StorageConfig['backends']): StorageConfig['records'] | undefined {
  const stores = values?.stores ?? {}
  const named = [stores.metadata, stores.inference, stores.conversations, stores.responses]
  const names = [...named.flatMap((store) => (store ? [store.backend] : [])), ...(values?.backends?.['sql_default'] ? ['sql_default'] : [])]
  return names.map((name) => backends[name]).find((backend) => backend !== undefined && backend.engine !== 'redis')
}

interface Chosen {
  readonly values: StorageSection
  readonly backends: StorageConfig['backends']
  readonly records: StorageConfig['records'] | undefined
}

function warnOfStores(section: TreeNode, { values, backends, records }: Chosen, { report }: StorageReading): void {
  const metadata = child(child(section, 'stores'), 'metadata')
  const isRedis = backends[values.stores?.metadata?.backend ?? '']?.engine === 'redis'
  if (metadata && isRedis) {
    report.warn('notice', metadata, `Redis keeps counters, not records: keys and registered models are kept in ${placeOf(records)}`)
  }
  if (records?.engine === 'sqlite' && records.path === ':memory:') {
    report.warn('notice', section, 'records are kept in memory: they are gone when the process ends, and every process has its own')
  }
  for (const [name, { type }] of Object.entries(values.backends ?? {})) {
    const node = child(child(section, 'backends'), name)
    if (type === 'kv_mongodb' && node) report.warn('not_served', node, `has no effect: ${noMongo}`)
  }
  const stores = child(section, 'stores')
  const unused = Object.keys(storeKinds).filter((name) => name !== 'metadata' && !holdsNothing(child(stores, name)))
  if (stores && unused.length > 0) report.warn('not_served', stores, `not used by this version yet: ${unused.join(', ')}`)
}

function placeOf(records: StorageConfig['records'] | undefined): string {
  if (!records) return "a file in Corral's home"
  return records.engine === 'sqlite' ? records.path : `the PostgreSQL at ${records.host}`
}

const olderStores = ['metadata_store', 'inference_store', 'conversations_store'] as const

/** The first of them that is a database of ours. What they held before is not read: it is in Llama Stack's own form. */
function readOlderStores(root: MapNode, reading: StorageReading): StorageConfig['records'] | undefined {
  let records: StorageConfig['records'] | undefined
  for (const key of olderStores) {
    const node = child(root, key)
    if (!node || holdsNothing(node)) continue
    const expanded = substitute(node, reading)
    if (holdsNothing(expanded)) continue
    const inner = child(expanded, 'sql_store_config')
    const read = validate(expanded, olderStoreSchema, reading) && readOlderStore(inner ?? expanded, reading)
    if (key !== 'metadata_store') reading.report.warn('not_served', node, 'is not used by this version yet')
    records ??= read
  }
  return records
}

function readOlderStore(node: TreeNode, reading: StorageReading): StorageConfig['records'] | undefined {
  const type = textOf(child(node, 'type'))?.replace(/^(kv|sql)_/, '')
  if (type === 'redis' || type === 'mongodb') {
    reading.report.warn('not_served', node, `a store of type '${type}' is not used here: name a database in storage.backends`)
    return undefined
  }
  // The spelling of today, its keys being the same.
  const kind = type === 'postgres' ? 'kv_postgres' : 'kv_sqlite'
  if (node.kind !== 'map' || (kind === 'kv_sqlite' && !textOf(child(node, 'db_path')))) return undefined
  const known = kind === 'kv_sqlite' ? ['db_path'] : ['host', 'port', 'db', 'user', 'password', 'ssl_mode', 'ca_cert_path']
  const entries = new Map([...node.entries].filter(([key]) => known.includes(key)))
  const typed = { ...node, entries: entries.set('type', { at: node.at, node: scalar(kind, node) }) }
  const values = validate<BackendSection>(typed, backendSchema, reading)
  const backend = values && toBackend(values, reading)
  return backend?.engine === 'redis' ? undefined : backend
}

function scalar(text: string, { path, at }: MapNode): TreeNode {
  return { kind: 'scalar', path: [...path, 'type'], at, meanings: [text], source: text, expanded: false }
}

function toBackend(values: BackendSection, reading: StorageReading): Backend | undefined {
  switch (values.type) {
    case 'kv_sqlite':
    case 'sql_sqlite':
      return sqliteBackend(values.db_path, reading)
    case 'kv_postgres':
      return postgresBackend(values, reading)
    case 'sql_postgres':
      return postgresBackend({ ...values, poolSize: values.pool_size }, reading)
    case 'kv_redis':
      return {
        engine: 'redis',
        host: values.host,
        port: values.port,
        user: values.user || undefined,
        password: values.password ? new Secret(values.password) : undefined,
        tls: values.tls ?? undefined,
        namespace: values.namespace || undefined,
      }
    case 'kv_mongodb':
      return undefined
    default:
      return values satisfies never
  }
}

export function sqliteBackend(path: string, { cwd, home }: Pick<StorageReading, 'cwd' | 'home'>): SqliteBackend {
  return { engine: 'sqlite', path: path === ':memory:' ? path : resolve(cwd, expandHome(path, home)) }
}

type PostgresSection = Extract<BackendSection, { type: 'kv_postgres' | 'sql_postgres' }> & { readonly poolSize?: number }

function postgresBackend(values: PostgresSection, { cwd, home }: StorageReading): PostgresBackend {
  const { db, user, password, schema, ssl_mode: sslMode, ca_cert_path: ca } = values
  return {
    engine: 'postgres',
    host: values.host,
    port: values.port,
    database: db || undefined,
    user: user || undefined,
    password: password ? new Secret(password) : undefined,
    schema: schema || undefined,
    sslMode: sslMode ?? undefined,
    caCertPath: ca ? resolve(cwd, expandHome(ca, home)) : undefined,
    poolSize: values.poolSize ?? 10,
  }
}
