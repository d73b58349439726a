import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { ownedRows } from '../access/owned-rows.ts'
import type { AccessSubject, OwnedRows } from '../access/owned-table.ts'
import { ownerOf } from '../access/owner.ts'
import type { AccessPolicy, Owner } from '../access/policy.ts'
import { invalidRequest } from '../errors.ts'
import type { ModelType } from '../schemas/models.ts'
import { createLazySnapshot, type LazySnapshot } from '../storage/lazy-snapshot.ts'
import type { RecordsSource } from '../storage/storage.ts'
import type { ModelRow } from '../storage/tables.ts'
import type { Events } from '../telemetry/events.ts'
import { modelType } from './model-access.ts'
import type { CheckedModel } from './registration.ts'
import type { Alias } from './resolve.ts'

/** A model that was registered over the API. */
export interface StoredAlias extends Alias {
  /** The row's. */
  readonly rowId: string
  /** Undefined: it has no owner. */
  readonly owner: Owner | undefined
  /** Never undefined here, unlike an alias of the configuration's. */
  readonly providerId: string
}

/** The registered models, in memory on every replica. Immutable: a change makes a new one. */
export interface StoredIndex {
  /** The oldest first. */
  readonly all: readonly StoredAlias[]
  /** All models of one name, of any owner, the oldest first. */
  named(modelId: string): readonly StoredAlias[]
}

export interface StoredModels extends AsyncDisposable {
  /** The latest known. Throws ApiError 503 while the database is out of reach for too long. */
  current(): StoredIndex
  /** Resolves after the first reading, or its failure. */
  readonly ready: Promise<void>
  /** Returns the row. Throws ApiError 403, 409 (the caller has registered another of this name), 503. */
  create(call: AccessSubject, model: CheckedModel): Promise<StoredAlias>
  /** Throws ApiError 404, 403, 503. */
  delete(call: AccessSubject, model: StoredAlias): Promise<void>
}

interface StoredModelsOptions {
  /** The file of a server that has no other use for a database is opened once it exists, or when the first model is registered. */
  readonly records: RecordsSource
  readonly policy: AccessPolicy
  readonly events: Pick<Events, 'resourceChanged' | 'changesRecorded' | 'unexpected'>
}

/** The revision that changes with the registered models. */
const modelsScope = 'models'

/** Of one owner: each replica holds all of them in memory. */
const maxModelsPerOwner = 1_000

export function createStoredModels(options: StoredModelsOptions): StoredModels {
  return new DatabaseStoredModels(options)
}

const emptyIndex: StoredIndex = { all: [], named: () => [] }

class DatabaseStoredModels implements StoredModels {
  readonly #rows: OwnedRows<ModelRow>
  readonly #snapshot: LazySnapshot<StoredIndex>
  readonly #events: StoredModelsOptions['events']
  readonly #tenantAttribute: string | undefined

  constructor({ records, policy, events }: StoredModelsOptions) {
    this.#events = events
    this.#tenantAttribute = policy.tenantAttribute
    this.#rows = ownedRows({
      database: records,
      table: 'models',
      type: modelType,
      kind: 'Model',
      policy,
      events,
      idColumn: 'model_id',
      revision: modelsScope,
    })
    this.#snapshot = createLazySnapshot({
      records,
      empty: emptyIndex,
      scope: modelsScope,
      events,
      // Read as the server: access is checked when a model is resolved.
      load: async (read) => indexOf(await read.selectFrom('models').selectAll().orderBy('created_at').orderBy('id').execute()),
    })
  }

  get ready(): Promise<void> {
    return this.#snapshot.ready
  }

  current(): StoredIndex {
    return this.#snapshot.current()
  }

  async create(call: AccessSubject, model: CheckedModel): Promise<StoredAlias> {
    await this.#snapshot.open()
    const tenant = this.#tenantOf(call.principal)
    const owned = this.current().all.filter(({ owner }) => owner?.id === call.principal?.id && this.#tenantOf(owner) === tenant)
    const same = owned.find((one) => one.model.modelId === model.modelId)
    const row = {
      id: same?.rowId ?? rowIdOf(call, model.modelId, tenant),
      created_at: Date.now(),
      model_id: model.modelId,
      provider_id: model.providerId,
      provider_model_id: model.providerModelId,
      model_type: model.type,
      metadata: JSON.stringify(model.metadata),
    }
    if (same && isUnchanged(same, model)) {
      await this.#events.changesRecorded()
      return same
    }
    if (owned.length >= maxModelsPerOwner) {
      throw invalidRequest(`The limit of ${maxModelsPerOwner} registered models per user is reached. Delete unused models.`, {
        status: 409,
        code: 'too_many_models',
        retryable: false,
      })
    }
    const detail = { provider_id: row.provider_id, provider_model_id: row.provider_model_id, model_type: row.model_type }
    const made = await this.#rows.insert(call, row, { event: 'model.registered', detail })
    await this.#catchUp()
    return toStored(made)
  }

  async delete(call: AccessSubject, { rowId }: StoredAlias): Promise<void> {
    await this.#rows.delete(call, rowId)
    await this.#catchUp()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#snapshot[Symbol.dispose]()
  }

  /** Undefined where tenants are not separated. */
  #tenantOf(owner: Owner | undefined): string | undefined {
    return this.#tenantAttribute && owner?.attributes[this.#tenantAttribute]?.join()
  }

  /** So that the caller of a change sees it with the next request. */
  async #catchUp(): Promise<void> {
    try {
      await this.#snapshot.refresh()
    } catch (error) {
      // The change is committed, and the snapshot retries by itself.
      this.#events.unexpected('reading the registered models after a change', error)
    }
  }
}

/** Made of owner, name and tenant, so that the table's key keeps one owner from having a name twice, and other owners do not learn that it is taken. */
function rowIdOf({ principal }: AccessSubject, modelId: string, tenant: string | undefined): string {
  const whose = JSON.stringify([principal?.id ?? null, modelId, ...(tenant === undefined ? [] : [tenant])])
  return `model_${createHash('sha256').update(whose).digest('hex').slice(0, 40)}`
}

function isUnchanged({ model, providerId }: StoredAlias, input: CheckedModel): boolean {
  return (
    providerId === input.providerId &&
    model.providerModelId === input.providerModelId &&
    model.type === input.type &&
    isDeepStrictEqual(model.metadata, input.metadata)
  )
}

function indexOf(rows: readonly ModelRow[]): StoredIndex {
  const all = rows.map(toStored)
  const byName = Map.groupBy(all, ({ model }) => model.modelId)
  return { all, named: (modelId) => byName.get(modelId) ?? [] }
}

function toStored(row: ModelRow): StoredAlias {
  return {
    rowId: row.id,
    owner: ownerOf(row),
    providerId: row.provider_id,
    created: Math.floor(row.created_at / 1000),
    registeredAt: Math.floor(row.created_at / 1000),
    model: {
      modelId: row.model_id,
      providerId: row.provider_id,
      providerModelId: row.provider_model_id,
      type: row.model_type as ModelType,
      metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    },
  }
}
