import type { Expression, SqlBool, Transaction as KyselyTransaction } from 'kysely'
import { type Call, systemPrincipal } from '../call.ts'
import { invalidRequest, shortened } from '../errors.ts'
import type { Database, Transaction } from '../storage/database.ts'
import { isUniqueViolation } from '../storage/errors.ts'
import { type Page, pageOf, type PageRequest } from '../storage/pages.ts'
import type { OwnedColumns, Tables } from '../storage/tables.ts'
import type { Events } from '../telemetry/events.ts'
import { accessFilter } from './filter.ts'
import { isStorable, ownerColumns, ownerOf } from './owner.ts'
import type { AccessPolicy, Action, Decision, Owner, Resource } from './policy.ts'
import { accessDenied, denialOf, notVisible } from './refusal.ts'

/** The tables whose rows have owners. */
export type OwnedTable = { [T in keyof Tables]: Tables[T] extends OwnedColumns ? T : never }[keyof Tables]

/** Who asks: what every function of a store wants first, so that none can be called without. */
export type AccessSubject = Pick<Call, 'requestId' | 'principal' | 'clientAddress'>

/** What is given for a new row: all but whose it is. */
export type NewRow<T extends OwnedTable> = Omit<Tables[T], 'owner_id' | 'owner_attributes'>
/** What may change of a row: never whose it is, which it is and since when. */
export type Changes<T extends OwnedTable> = Partial<Omit<Tables[T], keyof OwnedColumns>>

export interface OwnedRowsOptions<T extends OwnedTable> {
  readonly database: Database
  readonly table: T
  /** What policies call it, e.g. `api_key`. */
  readonly type: string
  /** What people call it, e.g. `API key`. */
  readonly kind: string
  readonly policy: AccessPolicy
  readonly events?: Pick<Events, 'resourceChanged'> | undefined
  /** The column with the id that policies and callers know. Default: `id`. */
  readonly idColumn?: (keyof Tables[T] & string) | undefined
  /** Actions that a rule of the configured policy has to permit: the default policy does not, nor does the want of authentication. */
  readonly explicit?: readonly Action[] | undefined
  /** Runs in the transaction of each change, e.g. `bumpRevision`. */
  readonly changed?: ((transaction: Transaction) => Promise<void>) | undefined
}

/** How a change is told, and of what. */
export interface ChangeRecord {
  /** E.g. `api_key.revoked`. Default: `<type>.created`, `.updated`, `.deleted`. */
  readonly event?: string | undefined
  /** What is new, for the audit log, without secrets. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined
}

export interface UpdateOptions extends ChangeRecord {
  /** What it takes, where a change is more than a change: revoking a key takes the right to `delete` it. Default `update`. */
  readonly action?: Extract<Action, 'update' | 'delete'> | undefined
}

export interface InsertOptions extends ChangeRecord {
  /** For work of the server itself, which must say whose the row is (null: nobody's, and so everybody's); nobody else can. */
  readonly owner?: Owner | null | undefined
}

export interface ListOptions<R> {
  /** Which rows are meant, besides those that the caller may see. */
  readonly where?: Expression<SqlBool> | undefined
  /** The same for what SQL cannot say. */
  readonly filter?: ((row: R) => boolean) | undefined
}

/**
 * A table whose rows belong to somebody, with the access policy inside: what may not be read is as if it were not there (404), what may be read
 * and not changed is 403; either is told to the log by the error's `denial`. Checks and changes are one transaction. Rows keep the owner they
 * were made with.
 */
export interface OwnedRows<T extends OwnedTable> {
  /** Throws ApiError 403; 409 where the id is taken; 503 where the audit log cannot be written (as do all changes). The row belongs to the caller; without authentication it has no owner. */
  insert(call: AccessSubject, row: NewRow<T>, options?: InsertOptions): Promise<Tables[T]>
  /** Throws ApiError 404. */
  get(call: AccessSubject, id: string): Promise<Tables[T]>
  /** One page of what the caller may read, full as long as there is enough. Throws ApiError 400 for a bad cursor. */
  list(call: AccessSubject, request: PageRequest, options?: ListOptions<Tables[T]>): Promise<Page<Tables[T]>>
  /** Gives the row as it is then. `change` may go by the row as it was, and may refuse by throwing. Throws ApiError 404, 403. */
  update(
    call: AccessSubject,
    id: string,
    change: Changes<T> | ((row: Tables[T]) => Changes<T>),
    options?: UpdateOptions,
  ): Promise<Tables[T]>
  /** Gives the row as it was. Throws ApiError 404, 403. */
  delete(call: AccessSubject, id: string, record?: ChangeRecord): Promise<Tables[T]>
  /** Whether the caller may do this to a row: for checks that go before a change. */
  decide(call: Pick<AccessSubject, 'principal'>, action: Action, row: Tables[T]): Decision
}

/** Any owned table, as far as the queries here go. */
interface AnyOwned {
  owned: OwnedColumns
}

export function ownedRows<T extends OwnedTable>(options: OwnedRowsOptions<T>): OwnedRows<T> {
  return new PolicyCheckedRows(options)
}

class PolicyCheckedRows<T extends OwnedTable> implements OwnedRows<T> {
  readonly #options: OwnedRowsOptions<T>
  readonly #table: 'owned'

  constructor(options: OwnedRowsOptions<T>) {
    this.#options = options
    // One name for all of them: Kysely's types cannot follow a table that is a variable.
    this.#table = options.table as string as 'owned'
  }

  async insert(call: AccessSubject, row: NewRow<T>, { owner, event, detail }: InsertOptions = {}): Promise<Tables[T]> {
    const inserted = { ...row, ...ownerColumns(ownerFor(call, owner)) } as unknown as Tables[T]
    // What is not there yet has no owner: so Llama Stack asks too.
    const resource = { type: this.#options.type, id: this.#idOf(inserted) }
    const decision = this.#decide(call, 'create', resource)
    if (!decision.allowed) throw accessDenied({ principal: call.principal, action: 'create', resource }, decision)
    try {
      await this.#write(async (transaction) => {
        await transaction.insertInto(this.#table).values(inserted).execute()
      })
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      throw invalidRequest(`${this.#options.kind} '${shortened(resource.id)}' already exists.`, {
        status: 409,
        code: 'already_exists',
        retryable: false,
        cause: error,
      })
    }
    await this.#emit(call, inserted, { event: event ?? `${this.#options.type}.created`, detail })
    return inserted
  }

  async get(call: AccessSubject, id: string): Promise<Tables[T]> {
    if (!isStorable(id)) throw notVisible(this.#options.kind, id)
    const { database } = this.#options
    const found = await (database.read as unknown as KyselyTransaction<AnyOwned>)
      .selectFrom(this.#table)
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return this.#visible(call, id, found as Tables[T] | undefined)
  }

  async list(call: AccessSubject, request: PageRequest, { where, filter: keep }: ListOptions<Tables[T]> = {}): Promise<Page<Tables[T]>> {
    const { database, policy, type, idColumn } = this.#options
    const filter = accessFilter(
      policy,
      { principal: call.principal, action: 'read', type },
      { engine: database.engine, table: this.#table, idColumn },
    )
    let query = (database.read as unknown as KyselyTransaction<AnyOwned>).selectFrom(this.#table).selectAll().where(filter.where)
    if (where) query = query.where(where)
    const mayRead = filter.exact ? undefined : (row: Tables[T]) => this.decide(call, 'read', row).allowed
    const both = mayRead && keep ? (row: Tables[T]) => mayRead(row) && keep(row) : (mayRead ?? keep)
    const page = await pageOf(query, request, { table: this.#table, filter: both as ((row: OwnedColumns) => boolean) | undefined })
    return page as unknown as Page<Tables[T]>
  }

  async update(
    call: AccessSubject,
    id: string,
    change: Changes<T> | ((row: Tables[T]) => Changes<T>),
    { action = 'update', event, detail }: UpdateOptions = {},
  ): Promise<Tables[T]> {
    const changed = await this.#write(async (transaction) => {
      const row = await this.#changeable(transaction, { call, id, action })
      const changes = typeof change === 'function' ? change(row) : change
      const then = { ...row, ...changes, ...identityOf(row) }
      await transaction
        .updateTable(this.#table)
        .set({ ...changes, ...identityOf(row) })
        .where('id', '=', id)
        .execute()
      return then
    })
    await this.#emit(call, changed, { event: event ?? `${this.#options.type}.updated`, detail })
    return changed
  }

  async delete(call: AccessSubject, id: string, note: ChangeRecord = {}): Promise<Tables[T]> {
    const deleted = await this.#write(async (transaction) => {
      const row = await this.#changeable(transaction, { call, id, action: 'delete' })
      await transaction.deleteFrom(this.#table).where('id', '=', id).execute()
      return row
    })
    await this.#emit(call, deleted, { event: note.event ?? `${this.#options.type}.deleted`, detail: note.detail })
    return deleted
  }

  decide({ principal }: Pick<AccessSubject, 'principal'>, action: Action, row: Tables[T]): Decision {
    return this.#decide({ principal }, action, this.#resourceOf(row))
  }

  #decide({ principal }: Pick<AccessSubject, 'principal'>, action: Action, resource: Resource): Decision {
    const { policy, explicit = [] } = this.#options
    const decision = policy.decide({ principal, action, resource })
    if (!decision.allowed || decision.explicit || principal === systemPrincipal || !explicit.includes(action)) return decision
    return {
      allowed: false,
      explicit: false,
      reason: `no rule of access_policy permits it (${decision.reason}, which does not suffice for this action)`,
    }
  }

  /** The row, held against other writers until the transaction ends. */
  async #changeable(
    transaction: KyselyTransaction<AnyOwned>,
    { call, id, action }: { call: AccessSubject; id: string; action: Action },
  ): Promise<Tables[T]> {
    if (!isStorable(id)) throw notVisible(this.#options.kind, id)
    const query = transaction.selectFrom(this.#table).selectAll().where('id', '=', id)
    const found = await (this.#options.database.engine === 'postgres' ? query.forUpdate() : query).executeTakeFirst()
    const row = this.#visible(call, id, found as Tables[T] | undefined)
    const resource = this.#resourceOf(row)
    const decision = this.#decide(call, action, resource)
    if (!decision.allowed) throw accessDenied({ principal: call.principal, action, resource }, decision)
    return row
  }

  #visible(call: AccessSubject, id: string, row: Tables[T] | undefined): Tables[T] {
    const { kind } = this.#options
    if (!row) throw notVisible(kind, id)
    const resource = this.#resourceOf(row)
    const decision = this.#decide(call, 'read', resource)
    if (!decision.allowed) throw notVisible(kind, id, denialOf(decision, 'read', resource))
    return row
  }

  #write<R>(work: (transaction: KyselyTransaction<AnyOwned>) => Promise<R>): Promise<R> {
    const { database, changed } = this.#options
    return database.write(async (transaction) => {
      const result = await work(transaction as unknown as KyselyTransaction<AnyOwned>)
      await changed?.(transaction)
      return result
    })
  }

  async #emit(call: AccessSubject, row: Tables[T], { event, detail }: { event: string; detail: ChangeRecord['detail'] }): Promise<void> {
    const { events, type } = this.#options
    await events?.resourceChanged({ call, event, resource: `${type}::${this.#idOf(row)}`, ...(detail && { detail }) })
  }

  #idOf(row: Tables[T]): string {
    return row[this.#options.idColumn ?? 'id'] as string
  }

  #resourceOf(row: Tables[T]): Resource {
    return { type: this.#options.type, id: this.#idOf(row), owner: ownerOf(row) }
  }
}

/** Whose a new row is. */
function ownerFor({ principal }: AccessSubject, named: Owner | null | undefined): Owner | undefined {
  if (principal === systemPrincipal) {
    if (named === undefined) throw new Error('a row inserted by the server itself needs an owner')
    return named ?? undefined
  }
  if (named !== undefined) throw new Error('only the server itself can set the owner of a new row')
  return principal
}

/** What no change changes, whatever it was given. */
function identityOf({ id, created_at, owner_id, owner_attributes }: OwnedColumns): OwnedColumns {
  return { id, created_at, owner_id, owner_attributes }
}
