import type { AccessSubject } from '../../access/owned-table.ts'
import { ownerOf } from '../../access/owner.ts'
import type { AccessPolicy, Action, Resource } from '../../access/policy.ts'
import { KeyHasher } from '../../auth/keys/hash.ts'
import { createToken, hintOf, idPrefix } from '../../auth/keys/token.ts'
import { type Call, type Principal, systemPrincipal } from '../../call.ts'
import { invalidRequest, notFound } from '../../errors.ts'
import type { ApiKey, CreateApiKeyRequest, RotateApiKeyRequest } from '../../schemas/api-keys.ts'
import type { Secret } from '../../secret.ts'
import type { Database } from '../../storage/database.ts'
import { newId } from '../../storage/ids.ts'
import type { Page, PageRequest } from '../../storage/pages.ts'
import type { ApiKeyRow } from '../../storage/tables.ts'
import type { Events } from '../../telemetry/events.ts'
import { keyResource, requireGrantable, requirePermission, requirePrincipal } from './permissions.ts'
import { type ApiKeyRows, apiKeyRows, toApiKey, toApiKeyRow, toLimit } from './store.ts'

/** A key with its token, which is shown only once. */
export interface IssuedKey {
  readonly key: ApiKey
  readonly token: Secret
}

/**
 * Corral's own API keys. Every method asks the policy about the caller: a key that the caller may not see does not exist (404), and changing one
 * needs a rule of the configured policy that permits it (403). Throws ApiError, 503 while the database is unavailable.
 */
export interface KeyService {
  create(call: Call, body: CreateApiKeyRequest): Promise<IssuedKey>
  list(call: Call, request: PageRequest): Promise<Page<ApiKey>>
  get(call: Call, id: string): Promise<ApiKey>
  /** A new token for the same key. */
  rotate(call: Call, id: string, body?: RotateApiKeyRequest): Promise<IssuedKey>
  /** It is refused by this process at once, by other replicas within a second. Revoking a revoked key changes nothing. */
  revoke(call: Call, id: string): Promise<ApiKey>
}

interface KeyServiceDeps {
  readonly database: Database
  readonly policy: AccessPolicy
  readonly pepper: Secret
  readonly events: Pick<Events, 'resourceChanged' | 'changesRecorded' | 'unexpected'>
  /** The names of the APIs that are served, to refuse misspelt ones. Absent: any name is accepted. */
  readonly apis?: readonly string[] | undefined
  /** The user of the command line (`corral keys`), by identity: may do everything. Not to be set in a server. */
  readonly operator?: Principal | undefined
  /** Called after each change, so that this process sees it at once: the authenticator's `refresh`. */
  readonly onChange?: (() => Promise<void>) | undefined
  /** Unix milliseconds. Default `Date.now`. */
  readonly clock?: (() => number) | undefined
}

/** See `KeyService`. */
export function createKeyService(deps: KeyServiceDeps): KeyService {
  return new StoredKeys(deps)
}

class StoredKeys implements KeyService {
  readonly #deps: KeyServiceDeps
  readonly #rows: ApiKeyRows
  readonly #hasher: KeyHasher
  readonly #clock: () => number

  constructor(deps: KeyServiceDeps) {
    this.#deps = deps
    this.#rows = apiKeyRows(deps.database, deps.policy)
    this.#hasher = new KeyHasher(deps.pepper)
    this.#clock = deps.clock ?? Date.now
  }

  async create(call: Call, body: CreateApiKeyRequest): Promise<IssuedKey> {
    const caller = requirePrincipal(call)
    const createdAt = this.#clock()
    const id = newId(idPrefix, createdAt)
    this.#require(call, 'create', keyResource(id, undefined))
    this.#validate(body, createdAt)
    const principal = body.principal ?? caller.id
    const attributes = body.attributes ?? (principal === caller.id ? copyOf(caller.attributes) : {})
    const isOperator = this.#isOperator(call)
    if (!isOperator) requireGrantable(this.#deps.policy, call, { ...body, id, principal, attributes }, await this.#expiryOfCallersKey(call))
    const token = createToken(id)
    const row = await this.#rows.insert(
      this.#subject(call),
      toApiKeyRow(body, { id, createdAt, hash: this.#hasher.stored(token), hint: hintOf(token), principal, attributes }),
      // The system's user is not a principal of the server.
      isOperator ? { owner: { id: principal, attributes } } : {},
    )
    const key = this.#shown(row)
    await this.#reportChange(call, 'api_key.created', key, {
      name: key.name,
      acts_as: key.principal,
      attributes: key.attributes,
      allowed_models: key.allowed_models ?? undefined,
      allowed_apis: key.allowed_apis ?? undefined,
      limits: (body.limits ?? []).map(toLimit),
      expires_at: isoTime(row.expires_at),
    })
    return { key, token }
  }

  async list(call: Call, request: PageRequest): Promise<Page<ApiKey>> {
    requirePrincipal(call)
    const { rows, hasMore } = await this.#rows.list(this.#subject(call), request)
    return { hasMore, rows: rows.map((row) => this.#shown(row)) }
  }

  async get(call: Call, id: string): Promise<ApiKey> {
    return this.#shown(await this.#row(call, id))
  }

  async rotate(call: Call, id: string, { grace_seconds: grace = 0 }: RotateApiKeyRequest = {}): Promise<IssuedKey> {
    const before = await this.#row(call, id)
    this.#require(call, 'update', keyResource(id, ownerOf(before)))
    // The holder of a key may renew it without being able to do more than before.
    if (!this.#isOperator(call) && call.principal?.key?.id !== id) {
      requireGrantable(this.#deps.policy, call, this.#shown(before), await this.#expiryOfCallersKey(call))
    }
    const token = createToken(id)
    const time = this.#clock()
    const row = await this.#rows.update(this.#subject(call), id, (now) => {
      assertActive(now, time)
      // Kept without grace too, so that a holder of the old token learns why it is refused; 0 is past by any replica's clock.
      return {
        hash: this.#hasher.stored(token),
        hint: hintOf(token),
        previous_hash: now.hash,
        previous_until: grace > 0 ? time + Math.round(grace * 1000) : 0,
      }
    })
    const key = this.#shown(row)
    await this.#reportChange(call, 'api_key.rotated', key, { old_token_valid_until: isoTime(row.previous_until || null) })
    return { key, token }
  }

  async revoke(call: Call, id: string): Promise<ApiKey> {
    const before = await this.#row(call, id)
    this.#require(call, 'delete', keyResource(id, ownerOf(before)))
    let isRevokedNow = false
    const revoke = (now: ApiKeyRow) => {
      isRevokedNow = now.revoked_at === null
      return isRevokedNow ? { revoked_at: this.#clock(), previous_hash: null, previous_until: null } : undefined
    }
    const key = this.#shown(await this.#rows.update(this.#subject(call), id, revoke, { action: 'delete' }))
    if (isRevokedNow) {
      await this.#reportChange(call, 'api_key.revoked', key, { name: key.name, acts_as: key.principal })
      return key
    }
    // A request that revoked it in the same commit reports that before this read ends, and may then wait for its entry in the audit log.
    const latest = await this.get(call, id)
    await this.#deps.events.changesRecorded()
    return latest
  }

  #shown(row: ApiKeyRow): ApiKey {
    return toApiKey(row, this.#clock())
  }

  #isOperator(call: Call): boolean {
    return call.principal !== undefined && call.principal === this.#deps.operator
  }

  /** As the policies see it: the operator is the server itself. */
  #subject(call: Call): AccessSubject {
    return this.#isOperator(call) ? { requestId: call.requestId, principal: systemPrincipal } : call
  }

  #require(call: Call, action: Action, resource: Resource): void {
    if (!this.#isOperator(call)) requirePermission(this.#deps.policy, call, action, resource)
  }

  /** What the schema cannot say. Throws ApiError 400 that names the field. */
  #validate({ expires_at: expiresAt, allowed_apis: allowedApis, allowed_models: allowedModels }: CreateApiKeyRequest, time: number): void {
    if (expiresAt != null && !(expiresAt * 1000 > time)) throw invalidValue('expires_at', 'must be in the future')
    const { apis } = this.#deps
    const unknown = apis && allowedApis?.find((api) => !apis.includes(api))
    if (apis && unknown !== undefined) {
      const known = apis.toSorted().join(', ')
      throw invalidValue(`allowed_apis[${allowedApis?.indexOf(unknown)}]`, `unknown API '${unknown}'; known are ${known}`)
    }
    if (allowedModels?.length === 0) throw invalidValue('allowed_models', 'must not be empty: omit it to allow every model')
    if (allowedApis?.length === 0) throw invalidValue('allowed_apis', 'must not be empty: omit it to allow every API')
  }

  async #row(call: Call, id: string): Promise<ApiKeyRow> {
    requirePrincipal(call)
    return await this.#rows.get(this.#subject(call), id)
  }

  /** A key that was revoked a moment ago creates no others. */
  async #expiryOfCallersKey({ principal }: Call): Promise<number | undefined> {
    if (!principal?.key) return undefined
    const row = await this.#deps.database.read
      .selectFrom('api_keys')
      .select(['revoked_at', 'expires_at'])
      .where('id', '=', principal.key.id)
      .executeTakeFirst()
    if (!row || row.revoked_at !== null) throw notFound('API key', principal.key.id)
    return row.expires_at ?? undefined
  }

  async #reportChange(call: Call, event: string, key: ApiKey, detail: Record<string, unknown>): Promise<void> {
    const { events, onChange } = this.#deps
    await Promise.all([
      events.resourceChanged({ call, event, resource: `api_key::${key.id}`, detail: withoutUndefined(detail) }),
      // The change is made, and the token must reach its holder: after a failure this process learns of it like the others.
      onChange?.().catch((error: unknown) => events.unexpected('reloading API keys', error)),
    ])
  }
}

function assertActive({ revoked_at: revoked, expires_at: expires }: Pick<ApiKeyRow, 'revoked_at' | 'expires_at'>, time: number): void {
  const why = revoked !== null ? 'is revoked' : expires !== null && expires <= time ? 'has expired' : undefined
  if (why === undefined) return
  throw invalidRequest(`This API key ${why}: create a new one.`, { status: 409, code: 'key_not_active' })
}

function invalidValue(param: string, why: string): Error {
  return invalidRequest(`Invalid value for '${param}': ${why}.`, { param, code: 'invalid_value' })
}

function copyOf(attributes: Principal['attributes']): ApiKey['attributes'] {
  return Object.fromEntries(Object.entries(attributes).map(([name, values]) => [name, [...values]]))
}

function isoTime(time: number | null): string | undefined {
  return time === null ? undefined : new Date(time).toISOString()
}

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
