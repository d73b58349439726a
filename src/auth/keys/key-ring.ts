import type { KeyGrant, Limit, Principal } from '../../call.ts'
import type { DatabaseReader } from '../../storage/database.ts'
import type { ApiKeyRow } from '../../storage/tables.ts'
import { readHash, type StoredHash } from './hash.ts'

/** The revision that changes with any key. */
export const keysScope = 'api_keys'

/** The type of Corral's own keys among authenticators. */
export const keyType = 'api_key'

/** One key as it is checked. */
export interface KeyRecord {
  readonly id: string
  /** The same object as long as the row is unchanged, so that caches may use its identity. */
  readonly principal: Principal
  readonly hash: StoredHash
  readonly previous: { readonly hash: StoredHash; readonly until: number } | undefined
  /** Unix milliseconds. */
  readonly expiresAt: number | undefined
  readonly revokedAt: number | undefined
  /** The row as JSON, to detect changes. */
  readonly source: string
}

/** Every key there is, by id. */
export interface KeyRing {
  readonly keys: ReadonlyMap<string, KeyRecord>
  /** Ids of corrupt rows, which authenticate no caller. */
  readonly unreadable: readonly string[]
}

/** Reads all keys. Records of rows that `before` knows already are taken over. */
export async function loadKeyRing(read: DatabaseReader, before?: KeyRing): Promise<KeyRing> {
  const rows = await read
    .selectFrom('api_keys')
    .select([
      'id',
      'hash',
      'principal',
      'attributes',
      'allowed_models',
      'allowed_apis',
      'limits',
      'expires_at',
      'revoked_at',
      'previous_hash',
      'previous_until',
    ])
    .execute()
  const keys = new Map<string, KeyRecord>()
  const unreadable: string[] = []
  for (const row of rows) {
    const source = JSON.stringify(row)
    const known = before?.keys.get(row.id)
    const record = known?.source === source ? known : toRecord(row, source)
    if (record) keys.set(row.id, record)
    else unreadable.push(row.id)
  }
  return { keys, unreadable }
}

type CheckedColumns = Omit<ApiKeyRow, 'created_at' | 'owner_id' | 'owner_attributes' | 'name' | 'hint'>

function toRecord(row: CheckedColumns, source: string): KeyRecord | undefined {
  const hash = readHash(row.hash)
  const previous = row.previous_hash === null ? undefined : readHash(row.previous_hash)
  const attributes = readAttributes(row.attributes)
  const grant = readGrant(row)
  if (!hash || !attributes || !grant) return undefined
  return {
    id: row.id,
    principal: Object.freeze({ id: row.principal, attributes, authenticator: keyType, key: grant }),
    hash,
    previous: previous && { hash: previous, until: row.previous_until ?? 0 },
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    source,
  }
}

/** What a key narrows; undefined where the row says something that cannot be understood, which must not pass for "no restriction". */
export function readGrant(row: Pick<ApiKeyRow, 'id' | 'allowed_models' | 'allowed_apis' | 'limits'>): KeyGrant | undefined {
  const models = row.allowed_models === null ? undefined : readJson(row.allowed_models)
  const apis = row.allowed_apis === null ? undefined : readJson(row.allowed_apis)
  const limits = readJson(row.limits)
  if ((row.allowed_models !== null && !isTexts(models)) || (row.allowed_apis !== null && !isTexts(apis)) || !isLimits(limits))
    return undefined
  return Object.freeze({
    id: row.id,
    ...(row.allowed_models !== null && { allowedModels: models as readonly string[] }),
    ...(row.allowed_apis !== null && { allowedApis: apis as readonly string[] }),
    limits,
  })
}

export function readAttributes(text: string): Principal['attributes'] | undefined {
  const value = readJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.values(value).every(isTexts) ? Object.freeze(value as Record<string, readonly string[]>) : undefined
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isLimits(value: unknown): value is readonly Limit[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null && 'period' in item)
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
