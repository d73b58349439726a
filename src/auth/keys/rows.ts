import type { ApiKeyRow } from '../../storage/tables.ts'
import { readAttributes, readGrant } from './key-ring.ts'
import type { ApiKey } from './key-service.ts'

/** A row that somebody spoiled is shown with nothing allowed, as it is treated. */
export function toApiKey(row: ApiKeyRow): ApiKey {
  const grant = readGrant(row) ?? { allowedModels: [], allowedApis: [], limits: [] }
  return {
    id: row.id,
    name: row.name,
    hint: row.hint,
    createdAt: row.created_at,
    owner: row.owner_id ?? undefined,
    principal: row.principal,
    attributes: readAttributes(row.attributes) ?? {},
    allowedModels: grant.allowedModels,
    allowedApis: grant.allowedApis,
    limits: grant.limits,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    // 0: replaced without grace.
    previousValidUntil: row.previous_until || undefined,
  }
}
