import { ownedRows } from '../../access/owned-rows.ts'
import type { AccessSubject, OwnedRows } from '../../access/owned-table.ts'
import { ownerOf } from '../../access/owner.ts'
import type { AccessPolicy, Action, Resource } from '../../access/policy.ts'
import { type Call, type Principal, systemPrincipal } from '../../call.ts'
import { invalidRequest, notFound } from '../../errors.ts'
import type { Secret } from '../../secret.ts'
import type { Database } from '../../storage/database.ts'
import { newId } from '../../storage/ids.ts'
import { cursorOf, type PageRequest } from '../../storage/pages.ts'
import { bumpRevision } from '../../storage/revisions.ts'
import type { ApiKeyRow } from '../../storage/tables.ts'
import type { Events } from '../../telemetry/events.ts'
import { KeyHasher } from './hash.ts'
import { keysScope } from './key-ring.ts'
import type { ApiKey, IssuedKey, KeyService, CreateApiKeyInput } from './key-service.ts'
import { requireGrantable, requirePermission, requirePrincipal, keyResource, type RequestedGrant } from './permissions.ts'
import { toApiKey } from './rows.ts'
import { hintOf, idPrefix, createToken } from './token.ts'
import { validateCreateInput } from './create-input.ts'

export interface KeyServiceDeps {
  readonly database: Database
  readonly policy: AccessPolicy
  readonly pepper: Secret
  readonly events: Pick<Events, 'resourceChanged' | 'changesRecorded' | 'unexpected'>
  /** The names of the APIs there are, so that a misspelt one is refused. Absent: any name is taken. */
  readonly apis?: readonly string[] | undefined
  /**
   * Who sits at the machine itself (`corral keys`): may do everything, with this very object as the principal. Not to be set in a server.
   */
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
  readonly #rows: OwnedRows<ApiKeyRow>
  readonly #hasher: KeyHasher
  readonly #apis: ReadonlySet<string> | undefined
  readonly #clock: () => number

  constructor(deps: KeyServiceDeps) {
    this.#deps = deps
    this.#rows = ownedRows({
      database: deps.database,
      table: 'api_keys',
      type: 'api_key',
      kind: 'API key',
      policy: deps.policy,
      explicit: ['create', 'update', 'delete'],
      revision: keysScope,
    })
    this.#hasher = new KeyHasher(deps.pepper)
    this.#apis = deps.apis && new Set(deps.apis)
    this.#clock = deps.clock ?? Date.now
  }

  async create(call: Call, input: CreateApiKeyInput): Promise<IssuedKey> {
    const caller = requirePrincipal(call)
    const createdAt = this.#clock()
    const id = newId(idPrefix, createdAt)
    this.#require(call, 'create', keyResource(id, undefined))
    validateCreateInput(input, { apis: this.#apis, time: createdAt })
    const grant = grantOf(id, input, caller)
    const isOperator = this.#isOperator(call)
    if (!isOperator) requireGrantable(this.#deps.policy, call, grant, await this.#expiryOfCallersKey(call))
    const token = createToken(id)
    const row = await this.#rows.insert(
      this.#subject(call),
      {
        id,
        created_at: createdAt,
        name: input.name,
        hash: this.#hasher.stored(token),
        hint: hintOf(token),
        principal: grant.principal,
        attributes: JSON.stringify(grant.attributes),
        allowed_models: jsonOrNull(input.allowedModels),
        allowed_apis: jsonOrNull(input.allowedApis),
        limits: JSON.stringify(input.limits ?? []),
        expires_at: input.expiresAt ?? null,
        revoked_at: null,
        previous_hash: null,
        previous_until: null,
      },
      // Nobody would be told apart from anybody by the name of the system's user.
      isOperator ? { owner: { id: grant.principal, attributes: grant.attributes } } : {},
    )
    const key = toApiKey(row)
    await this.#reportChange(call, 'api_key.created', key, {
      name: key.name,
      acts_as: key.principal,
      attributes: key.attributes,
      allowed_models: key.allowedModels,
      allowed_apis: key.allowedApis,
      limits: key.limits,
      expires_at: isoTime(key.expiresAt),
    })
    return { key, token }
  }

  async list(call: Call, request: PageRequest): ReturnType<KeyService['list']> {
    requirePrincipal(call)
    const { rows, hasMore } = await this.#rows.list(this.#subject(call), request)
    return { hasMore, rows: rows.map((row) => ({ ...toApiKey(row), cursor: cursorOf(row) })) }
  }

  async get(call: Call, id: string): Promise<ApiKey> {
    return toApiKey(await this.#row(call, id))
  }

  async rotate(call: Call, id: string, { grace = 0 }: { readonly grace?: number | undefined } = {}): Promise<IssuedKey> {
    const before = await this.#row(call, id)
    this.#require(call, 'update', keyResource(id, ownerOf(before)))
    // Who holds a key may have it renewed without being able to do more than before.
    if (!this.#isOperator(call) && call.principal?.key?.id !== id) {
      requireGrantable(this.#deps.policy, call, toApiKey(before), await this.#expiryOfCallersKey(call))
    }
    const token = createToken(id)
    const time = this.#clock()
    const row = await this.#rows.update(this.#subject(call), id, (now) => {
      assertActive(now, time)
      // Without grace it is kept too, so that who holds the old token is told what became of it; long past by any replica's clock.
      return {
        hash: this.#hasher.stored(token),
        hint: hintOf(token),
        previous_hash: now.hash,
        previous_until: grace > 0 ? time + grace : 0,
      }
    })
    const key = toApiKey(row)
    await this.#reportChange(call, 'api_key.rotated', key, { old_token_valid_until: isoTime(key.previousValidUntil) })
    return { key, token }
  }

  async revoke(call: Call, id: string): Promise<ApiKey> {
    const row = await this.#row(call, id)
    this.#require(call, 'delete', keyResource(id, ownerOf(row)))
    const time = this.#clock()
    const revokedNow = await this.#deps.database.write(async (transaction) => {
      const { numUpdatedRows } = await transaction
        .updateTable('api_keys')
        .set({ revoked_at: time, previous_hash: null, previous_until: null })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .executeTakeFirst()
      if (numUpdatedRows > 0n) await bumpRevision(transaction, keysScope)
      return numUpdatedRows > 0n
    })
    if (!revokedNow) {
      // The request that revoked it may still wait for its line in the audit log.
      await this.#deps.events.changesRecorded()
      return toApiKey(await this.#row(call, id))
    }
    const key = { ...toApiKey(row), revokedAt: time, previousValidUntil: undefined }
    await this.#reportChange(call, 'api_key.revoked', key, { name: key.name, acts_as: key.principal })
    return key
  }

  #isOperator(call: Call): boolean {
    return call.principal !== undefined && call.principal === this.#deps.operator
  }

  /** As the policies see it: whoever sits at the machine is the server itself. */
  #subject(call: Call): AccessSubject {
    return this.#isOperator(call) ? { requestId: call.requestId, principal: systemPrincipal } : call
  }

  #require(call: Call, action: Action, resource: Resource): void {
    if (!this.#isOperator(call)) requirePermission(this.#deps.policy, call, action, resource)
  }

  async #row(call: Call, id: string): Promise<ApiKeyRow> {
    requirePrincipal(call)
    return await this.#rows.get(this.#subject(call), id)
  }

  /** A key that was revoked a moment ago makes no others. */
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
      // What was done is done, and a token must reach whom it was made for: this process then learns of it like the others.
      onChange?.().catch((error: unknown) => events.unexpected('reading API keys anew', error)),
    ])
  }
}

function grantOf(id: string, input: CreateApiKeyInput, caller: Principal): RequestedGrant {
  const principal = input.principal ?? caller.id
  const attributes = input.attributes ?? (principal === caller.id ? caller.attributes : {})
  const { allowedModels, allowedApis, expiresAt } = input
  return { id, principal, attributes, allowedModels, allowedApis, expiresAt }
}

function assertActive({ revoked_at: revoked, expires_at: expires }: Pick<ApiKeyRow, 'revoked_at' | 'expires_at'>, time: number): void {
  const why = revoked !== null ? 'is revoked' : expires !== null && expires <= time ? 'has expired' : undefined
  if (why === undefined) return
  throw invalidRequest(`This API key ${why}: create a new one.`, {
    status: 409,
    code: 'key_not_active',
    retryable: false,
  })
}

function jsonOrNull(value: readonly string[] | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

function isoTime(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString()
}

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
