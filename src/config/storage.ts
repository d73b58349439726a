import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { Secret } from '../secret.ts'
import type { Backend, PostgresBackend, SqliteBackend, StorageConfig } from '../storage/config.ts'
import { type ConnectionString, ConnectionStringError, parseConnectionString } from './connection-string.ts'
import { nearest } from './nearest.ts'
import { Report } from './report.ts'
import { backendSchema, legacyStoreSchema, storageSchema, storeNames, storeSchema } from './schema-storage.ts'
import { expandHome, type Substitution, substitute } from './substitute.ts'
import { child, emptyMap, holdsNothing, type MapNode, nodeAt, shown, textOf, type TreeNode } from './tree.ts'
import { reportUnknownKey, type Strictness, validate } from './validate.ts'

interface StorageContext extends Substitution {
  readonly strictness: Strictness
  /** Against which relative paths are meant. */
  readonly cwd: string
  /** Absolute. */
  readonly corralHome: string
}

type BackendSection = z.output<typeof backendSchema>

/**
 * Reads `storage:` and the older stores at the top level. The records (keys, registered models, the ledger) lie in the backend of
 * `stores.metadata` where that is SQLite or PostgreSQL, else in the first such backend that `inference`, `conversations` or `responses` names, else in
 * `sql_default`, else in the older `metadata_store`, `inference_store` or `conversations_store`, else in a file in Corral's home.
 */
export function readStorage(root: MapNode, context: StorageContext): StorageConfig {
  const section = readSection(root, context)
  const stores = readStores(section, context)
  const candidates = [...['metadata', 'inference', 'conversations', 'responses'].flatMap((name) => stores.get(name) ?? []), 'sql_default']
  const needed = new Set([...neededBackends(section, candidates, context), ...quotaBackends(root, context)])
  const backends = readBackends(section, needed, context)
  const found = candidates.map((name) => backends[name]).find((backend) => backend !== undefined && backend.engine !== 'redis')
  const records = readLegacyStores(root, found, context)
  warnOfStores(section, { backends, records, metadata: stores.get('metadata') }, context)
  const path = join(context.corralHome, 'corral.db')
  return { backends, records: records ?? { engine: 'sqlite', path }, recordsConfigured: records !== undefined }
}

/** The keys of `storage:`; its parts are expanded one by one, since what is not used must not stop the start. */
function readSection(root: MapNode, { report, strictness }: StorageContext): MapNode {
  const section = child(root, 'storage')
  if (!section || holdsNothing(section)) return emptyMap(['storage'], root.at)
  if (section.kind !== 'map') {
    report.error(section, 'must be a map')
    return emptyMap(['storage'], section.at)
  }
  const known = Object.keys(storageSchema.shape)
  for (const [key, { at }] of section.entries)
    if (!known.includes(key)) reportUnknownKey({ key, at, parent: section }, known, { report, strictness })
  return section
}

/** The entries of the map at a key; reports an error for anything else. */
function entriesOf(section: MapNode, key: string, { report }: StorageContext): (readonly [string, TreeNode])[] {
  const map = child(section, key)
  if (!map || holdsNothing(map)) return []
  if (map.kind === 'map') return [...map.entries].map(([name, { node }]) => [name, node] as const)
  report.error(map, 'must be a map')
  return []
}

/** The backends' names by store. Every store must name a backend that there is; only that of `metadata` is used by this version. */
function readStores(section: MapNode, context: StorageContext): Map<string, string> {
  const { report, strictness } = context
  const stores = new Map<string, string>()
  const known: readonly string[] = storeNames
  for (const [store, node] of entriesOf(section, 'stores', context)) {
    if (!known.includes(store)) {
      const parent = child(section, 'stores') ?? section
      reportUnknownKey({ key: store, at: node.at, parent }, known, { report, strictness }, ['metadata'])
      continue
    }
    const using = store === 'metadata' ? context : { ...context, report: report.forUnserved(strictness) }
    const expanded = substitute(node, using)
    if (holdsNothing(expanded)) continue
    const values = validate(expanded, storeSchema, using)
    if (values && checkReference(section, child(expanded, 'backend') ?? expanded, using)) stores.set(store, values.backend)
  }
  return stores
}

function checkReference(section: MapNode, reference: TreeNode, using: StorageContext): boolean {
  const { report } = using
  const backends = child(section, 'backends')
  const names = backends?.kind === 'map' ? [...backends.entries.keys()] : []
  const name = textOf(reference) ?? ''
  if (!names.includes(name)) {
    const available = `Available backends: ${names.join(', ') || 'none'}.`
    report.error(reference, `references unknown backend ${shown(reference)}. ${available}`, nearest(name, names))
    return false
  }
  if (typeOf(section, name, using) !== 'kv_mongodb') return true
  report.error(reference, `references backend ${shown(reference)}, and ${noMongo}`)
  return false
}

const noMongo = 'MongoDB is not supported: use kv_sqlite or kv_postgres'

/** Without reporting anything: the backend is read afterwards. */
function typeOf(section: MapNode, name: string, context: StorageContext): string | undefined {
  const type = child(child(child(section, 'backends'), name), 'type')
  return type && textOf(substitute(type, { ...context, report: new Report('') }))
}

/** The backends that records may depend on: those that stand before the first that can hold them, and that one. */
function neededBackends(section: MapNode, candidates: readonly string[], context: StorageContext): string[] {
  const first = candidates.findIndex((name) => /sqlite|postgres/.test(typeOf(section, name, context) ?? ''))
  return candidates.slice(0, first < 0 ? undefined : first + 1)
}

/** The backend that limits are counted in, by both names of that setting. */
function quotaBackends(root: MapNode, context: StorageContext): string[] {
  const quiet = { ...context, report: new Report('') }
  return ['store', 'kvstore'].flatMap((key) => {
    const name = nodeAt(root, ['server', 'quota', key, 'backend'])
    return (name && textOf(substitute(name, quiet))) ?? []
  })
}

/** A backend that is not needed and cannot be understood is left out with a warning. */
function readBackends(section: MapNode, needed: ReadonlySet<string>, context: StorageContext): Record<string, Backend> {
  const { report, strictness } = context
  const backends: Record<string, Backend> = {}
  for (const [name, node] of entriesOf(section, 'backends', context)) {
    const using = needed.has(name) ? context : { ...context, report: report.forUnserved(strictness) }
    const expanded = substitute(node, using)
    const values = validate<BackendSection>(expanded, backendSchema, using)
    if (values?.type === 'kv_mongodb') report.warn('not_served', node, `has no effect: ${noMongo}`)
    const read = values && toBackend(values, expanded, using)
    if (read) backends[name] = read
  }
  return backends
}

interface ChosenBackend {
  readonly backends: StorageConfig['backends']
  readonly records: StorageConfig['records'] | undefined
  /** The backend that `stores.metadata` names. */
  readonly metadata: string | undefined
}

function warnOfStores(section: MapNode, { backends, records, metadata }: ChosenBackend, { report }: StorageContext): void {
  const stores = child(section, 'stores')
  const node = child(stores, 'metadata')
  if (node && metadata !== undefined && backends[metadata]?.engine === 'redis') {
    report.warn('notice', node, `Redis keeps counters, not records: keys and registered models are kept in ${placeOf(records)}`)
  }
  if (records?.engine === 'sqlite' && records.path === ':memory:') {
    report.warn('notice', section, 'records are kept in memory: they are gone when the process ends, and every process has its own')
  }
  for (const name of storeNames) {
    const store = child(stores, name)
    if (store && name !== 'metadata' && !holdsNothing(store)) report.warn('not_served', store, 'is not used by this version yet')
  }
}

function placeOf(records: StorageConfig['records'] | undefined): string {
  if (!records) return "a file in Corral's home"
  return records.engine === 'sqlite' ? records.path : `the PostgreSQL at ${records.host}`
}

const legacyStores = ['metadata_store', 'inference_store', 'conversations_store'] as const

/** The records' place as `storage` has it, else the first of the older stores that can hold them. What it held before is not read: it is in Llama Stack's own form. */
function readLegacyStores(root: MapNode, found: StorageConfig['records'] | undefined, context: StorageContext): typeof found {
  const { report, strictness } = context
  let records = found
  for (const key of legacyStores) {
    const node = child(root, key)
    if (!node || holdsNothing(node)) continue
    const isUsed = records === undefined
    const using = isUsed ? context : { ...context, report: report.forUnserved(strictness) }
    const expanded = substitute(node, using)
    if (holdsNothing(expanded)) continue
    const inner = child(expanded, 'sql_store_config')
    const read = validate(expanded, legacyStoreSchema, using) && readLegacyStore(inner ?? expanded, using)
    if (!isUsed || key !== 'metadata_store') report.warn('not_served', node, 'is not used by this version yet')
    records ??= read
  }
  return records
}

function readLegacyStore(node: TreeNode, context: StorageContext): StorageConfig['records'] | undefined {
  const type = textOf(child(node, 'type'))?.replace(/^(kv|sql)_/, '')
  if (type === 'redis' || type === 'mongodb') {
    context.report.warn('not_served', node, `a store of type '${type}' is not used here: name a database in storage.backends`)
    return undefined
  }
  // The spelling of today, its keys being the same.
  const kind = type === 'postgres' ? 'kv_postgres' : 'kv_sqlite'
  if (node.kind !== 'map' || (kind === 'kv_sqlite' && !textOf(child(node, 'db_path')))) return undefined
  const known = kind === 'kv_sqlite' ? ['db_path'] : [...connectionKeys, 'connection_string', 'ssl_mode', 'ca_cert_path']
  const entries = new Map([...node.entries].filter(([key]) => known.includes(key)))
  const typed = { ...node, entries: entries.set('type', { at: node.at, node: scalar(kind, node) }) }
  const values = validate<BackendSection>(typed, backendSchema, context)
  const backend = values && toBackend(values, typed, context)
  return backend?.engine === 'redis' ? undefined : backend
}

function scalar(text: string, { path, at }: MapNode): TreeNode {
  return { kind: 'scalar', path: [...path, 'type'], at, meanings: [text], source: text, expanded: false }
}

function toBackend(values: BackendSection, node: TreeNode, context: StorageContext): Backend | undefined {
  switch (values.type) {
    case 'kv_sqlite':
    case 'sql_sqlite':
      return sqliteBackend(values.db_path, context)
    case 'kv_postgres':
    case 'sql_postgres':
      return postgresBackend(values, node, context)
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

function sqliteBackend(path: string, { cwd, home }: Pick<StorageContext, 'cwd' | 'home'>): SqliteBackend {
  return { engine: 'sqlite', path: path === ':memory:' ? path : resolve(cwd, expandHome(path, home)) }
}

type PostgresSection = Extract<BackendSection, { type: 'kv_postgres' | 'sql_postgres' }>

/** Left out as an unknown key, a URL would mean a connection to another database than the one that it names. */
function refuseOtherUrls(node: TreeNode, { report }: StorageContext): void {
  const keys = node.kind === 'map' ? [...node.entries.keys()] : []
  for (const key of keys.filter((name) => /(^|_)(url|uri|dsn|conninfo)$/i.test(name))) {
    report.error(
      child(node, key) ?? node,
      'is not the key of a connection string, and Corral would connect elsewhere.',
      'connection_string',
    )
  }
}

/** The keys that a connection string replaces. */
const connectionKeys = ['host', 'port', 'db', 'user', 'password']

function postgresBackend(values: PostgresSection, node: TreeNode, context: StorageContext): PostgresBackend | undefined {
  const { cwd, home } = context
  refuseOtherUrls(node, context)
  const written = readConnectionString(values, node, context)
  if (written === 'wrong') return undefined
  const { host, port, db, user, password, schema } = values
  const where = written
    ? { ...written, host: written.host ?? 'localhost', port: written.port ?? 5432 }
    : { host, port, database: db, user, password }
  const ca = values.ca_cert_path || written?.caCertPath
  return {
    engine: 'postgres',
    host: where.host,
    port: where.port,
    database: where.database || undefined,
    user: where.user || undefined,
    password: where.password ? new Secret(where.password) : undefined,
    schema: schema || undefined,
    sslMode: values.ssl_mode ?? written?.sslMode,
    caCertPath: ca ? resolve(cwd, expandHome(ca, home)) : undefined,
    poolSize: values.pool_size,
  }
}

/** Undefined where there is none. */
function readConnectionString(values: PostgresSection, node: TreeNode, { report }: StorageContext): ConnectionString | 'wrong' | undefined {
  const text = values.connection_string
  const place = child(node, 'connection_string')
  if (!text || !place) return undefined
  const beside = connectionKeys.filter((key) => !holdsNothing(child(node, key)))
  if (beside.length > 0) {
    report.error(place, `replaces ${beside.join(', ')}: remove one of them`)
    return 'wrong'
  }
  try {
    const parsed = parseConnectionString(text)
    if (parsed.sslMode && values.ssl_mode && parsed.sslMode !== values.ssl_mode) {
      report.error(place, `has sslmode=${parsed.sslMode}, and ssl_mode is ${values.ssl_mode}: leave out one of them`)
      return 'wrong'
    }
    if (parsed.ignored.length > 0) report.warn('notice', place, `has parameters that have no effect here: ${parsed.ignored.join(', ')}`)
    return parsed
  } catch (error) {
    if (!(error instanceof ConnectionStringError)) throw error
    report.error(place, error.message)
    return 'wrong'
  }
}
