import { ownedRows } from '../../access/owned-rows.ts'
import type { NewRow, OwnedRows } from '../../access/owned-table.ts'
import type { AccessPolicy } from '../../access/policy.ts'
import { keysScope, readAttributes, readGrant } from '../../auth/keys/key-ring.ts'
import type { Limit } from '../../call.ts'
import type { ApiKey, CreateApiKeyRequest, KeyLimit } from '../../schemas/api-keys.ts'
import type { DatabaseSource } from '../../storage/database.ts'
import type { ApiKeyRow } from '../../storage/tables.ts'

export type ApiKeyRows = OwnedRows<ApiKeyRow>

/** The rows of API keys. To change one takes a rule of the configured policy. */
export function apiKeyRows(database: DatabaseSource, policy: AccessPolicy): ApiKeyRows {
  return ownedRows({
    database,
    table: 'api_keys',
    type: 'api_key',
    kind: 'API key',
    policy,
    explicit: ['create', 'update', 'delete'],
    revision: keysScope,
  })
}

interface NewApiKey {
  readonly id: string
  readonly createdAt: number
  readonly hash: string
  /** The first and last characters of the token. */
  readonly hint: string
  readonly principal: string
  readonly attributes: ApiKey['attributes']
}

/** The row of a new key. */
export function toApiKeyRow(body: CreateApiKeyRequest, key: NewApiKey): NewRow<ApiKeyRow> {
  return {
    id: key.id,
    created_at: key.createdAt,
    name: body.name,
    hash: key.hash,
    hint: key.hint,
    principal: key.principal,
    attributes: JSON.stringify(key.attributes),
    allowed_models: jsonOrNull(body.allowed_models),
    allowed_apis: jsonOrNull(body.allowed_apis),
    limits: JSON.stringify((body.limits ?? []).map(toLimit)),
    expires_at: body.expires_at == null ? null : body.expires_at * 1000,
    revoked_at: null,
    previous_hash: null,
    previous_until: null,
  }
}

/** A row as it is shown at `time` (Unix milliseconds). A corrupt one is shown with nothing allowed, as it is treated. */
export function toApiKey(row: ApiKeyRow, time: number): ApiKey {
  const grant = readGrant(row) ?? { allowedModels: [], allowedApis: [], limits: [] }
  const isExpired = row.expires_at !== null && row.expires_at <= time
  return {
    id: row.id,
    object: 'api_key',
    name: row.name,
    redacted_value: row.hint,
    status: row.revoked_at !== null ? 'revoked' : isExpired ? 'expired' : 'active',
    created_at: seconds(row.created_at),
    expires_at: secondsOrNull(row.expires_at),
    revoked_at: secondsOrNull(row.revoked_at),
    // 0: replaced without grace.
    previous_valid_until: row.previous_until !== null && row.previous_until > time ? seconds(row.previous_until) : null,
    owner: row.owner_id,
    principal: row.principal,
    attributes: copyOf(readAttributes(row.attributes) ?? {}),
    allowed_models: grant.allowedModels ? [...grant.allowedModels] : null,
    allowed_apis: grant.allowedApis ? [...grant.allowedApis] : null,
    limits: grant.limits.map(fromLimit),
  }
}

function copyOf(attributes: Readonly<Record<string, readonly string[]>>): ApiKey['attributes'] {
  return Object.fromEntries(Object.entries(attributes).map(([name, values]) => [name, [...values]]))
}

/** A limit as it is stored and counted. */
export function toLimit(limit: KeyLimit): Limit {
  const { name, period = 'minute', requests, dollars } = limit
  return {
    name,
    // Of running requests alone it does not matter.
    period,
    requests,
    inputTokens: limit.input_tokens,
    outputTokens: limit.output_tokens,
    totalTokens: limit.total_tokens,
    dollars,
    concurrentRequests: limit.concurrent_requests,
  }
}

function fromLimit(limit: Limit): KeyLimit {
  const { name, period, requests, dollars } = limit
  const wire = {
    name,
    period,
    requests,
    input_tokens: limit.inputTokens,
    output_tokens: limit.outputTokens,
    total_tokens: limit.totalTokens,
    dollars,
    concurrent_requests: limit.concurrentRequests,
  }
  return Object.fromEntries(Object.entries(wire).filter(([, value]) => value !== undefined))
}

function jsonOrNull(value: readonly string[] | null | undefined): string | null {
  return value == null ? null : JSON.stringify(value)
}

function seconds(time: number): number {
  return Math.floor(time / 1000)
}

function secondsOrNull(time: number | null): number | null {
  return time === null ? null : seconds(time)
}
