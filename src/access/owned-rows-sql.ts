import type { Transaction as KyselyTransaction } from 'kysely'
import { systemPrincipal } from '../call.ts'
import { invalidRequest, shortened } from '../errors.ts'
import type { Database, Transaction } from '../storage/database.ts'
import { isUniqueViolation } from '../storage/errors.ts'
import { type Page, pageOf, type PageRequest } from '../storage/pages.ts'
import { bumpRevision } from '../storage/revisions.ts'
import type { OwnedColumns } from '../storage/tables.ts'
import { accessFilter } from './filter.ts'
import type {
  AccessSubject,
  ChangeRecord,
  Changes,
  InsertOptions,
  ListOptions,
  NewRow,
  OwnedRows,
  OwnedRowsOptions,
  UpdateOptions,
} from './owned-table.ts'
import { isStorable, ownerColumns, ownerOf } from './owner.ts'
import type { Action, Decision, Owner, Resource } from './policy.ts'
import { accessDenied, denialOf, notVisible } from './refusal.ts'

/** Any owned table, as far as the queries here go. */
interface AnyOwned {
  owned: OwnedColumns
}

export function createSqlRows<Row extends OwnedColumns>(database: Database, options: OwnedRowsOptions<Row>): OwnedRows<Row> {
  return new SqlRows(database, options)
}

class SqlRows<Row extends OwnedColumns> implements OwnedRows<Row> {
  readonly #database: Database
  readonly #options: OwnedRowsOptions<Row>
  readonly #table: 'owned'

  constructor(database: Database, options: OwnedRowsOptions<Row>) {
    this.#database = database
    this.#options = options
    // One name for all of them: Kysely's types cannot follow a table that is a variable.
    this.#table = options.table as string as 'owned'
  }

  async insert(call: AccessSubject, row: NewRow<Row>, { owner, event, detail, alsoWrite }: InsertOptions = {}): Promise<Row> {
    const inserted = { ...row, ...ownerColumns(ownerFor(call, owner)) } as unknown as Row
    // What is not there yet has no owner: so Llama Stack asks too.
    const resource = { type: this.#options.type, id: this.#idOf(inserted) }
    const decision = this.#decide(call, 'create', resource)
    if (!decision.allowed) throw accessDenied({ principal: call.principal, action: 'create', resource }, decision)
    try {
      await this.#write(async (transaction) => {
        await transaction.insertInto(this.#table).values(inserted).execute()
        await alsoWrite?.(transaction as unknown as Transaction)
        await this.#raiseRevision(transaction)
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

  async get(call: AccessSubject, id: string): Promise<Row> {
    if (!isStorable(id)) throw notVisible(this.#options.kind, id)
    const found = await (this.#database.read as unknown as KyselyTransaction<AnyOwned>)
      .selectFrom(this.#table)
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return this.#visible(call, id, found as Row | undefined)
  }

  async list(call: AccessSubject, request: PageRequest, { where, filter: keep }: ListOptions<Row> = {}): Promise<Page<Row>> {
    const { policy, type, idColumn } = this.#options
    const filter = accessFilter(
      policy,
      { principal: call.principal, action: 'read', type },
      { engine: this.#database.engine, table: this.#table, idColumn },
    )
    let query = (this.#database.read as unknown as KyselyTransaction<AnyOwned>).selectFrom(this.#table).selectAll().where(filter.where)
    if (where) query = query.where(where)
    const mayRead = filter.exact ? undefined : (row: Row) => this.#decide(call, 'read', this.#resourceOf(row)).allowed
    const both = mayRead && keep ? (row: Row) => mayRead(row) && keep(row) : (mayRead ?? keep)
    const page = await pageOf(query, request, { table: this.#table, filter: both as ((row: OwnedColumns) => boolean) | undefined })
    return page as unknown as Page<Row>
  }

  async update(
    call: AccessSubject,
    id: string,
    change: Changes<Row> | ((row: Row) => Changes<Row> | undefined),
    { action = 'update', event, detail }: UpdateOptions = {},
  ): Promise<Row> {
    const { changed, isChanged } = await this.#write(async (transaction) => {
      const row = await this.#changeable(transaction, { call, id, action })
      const changes = typeof change === 'function' ? change(row) : change
      if (changes === undefined) return { changed: row, isChanged: false }
      const then = { ...row, ...changes, ...identityOf(row) }
      await transaction
        .updateTable(this.#table)
        .set({ ...changes, ...identityOf(row) })
        .where('id', '=', id)
        .execute()
      await this.#raiseRevision(transaction)
      return { changed: then, isChanged: true }
    })
    if (isChanged) await this.#emit(call, changed, { event: event ?? `${this.#options.type}.updated`, detail })
    return changed
  }

  async delete(call: AccessSubject, id: string, note: ChangeRecord = {}): Promise<Row> {
    const deleted = await this.#write(async (transaction) => {
      const row = await this.#changeable(transaction, { call, id, action: 'delete' })
      await transaction.deleteFrom(this.#table).where('id', '=', id).execute()
      await this.#raiseRevision(transaction)
      return row
    })
    await this.#emit(call, deleted, { event: note.event ?? `${this.#options.type}.deleted`, detail: note.detail })
    return deleted
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
  ): Promise<Row> {
    if (!isStorable(id)) throw notVisible(this.#options.kind, id)
    const query = transaction.selectFrom(this.#table).selectAll().where('id', '=', id)
    const found = await (this.#database.engine === 'postgres' ? query.forUpdate() : query).executeTakeFirst()
    const row = this.#visible(call, id, found as Row | undefined)
    const resource = this.#resourceOf(row)
    const decision = this.#decide(call, action, resource)
    if (!decision.allowed) throw accessDenied({ principal: call.principal, action, resource }, decision)
    return row
  }

  #visible(call: AccessSubject, id: string, row: Row | undefined): Row {
    const { kind } = this.#options
    if (!row) throw notVisible(kind, id)
    const resource = this.#resourceOf(row)
    const decision = this.#decide(call, 'read', resource)
    if (!decision.allowed) throw notVisible(kind, id, denialOf(decision, 'read', resource))
    return row
  }

  #write<R>(work: (transaction: KyselyTransaction<AnyOwned>) => Promise<R>): Promise<R> {
    return this.#database.write((transaction) => work(transaction as unknown as KyselyTransaction<AnyOwned>))
  }

  async #raiseRevision(transaction: KyselyTransaction<AnyOwned>): Promise<void> {
    const { revision } = this.#options
    if (revision !== undefined) await bumpRevision(transaction as unknown as Transaction, revision)
  }

  async #emit(call: AccessSubject, row: Row, { event, detail }: { event: string; detail: ChangeRecord['detail'] }): Promise<void> {
    const { events, type } = this.#options
    await events?.resourceChanged({ call, event, resource: `${type}::${this.#idOf(row)}`, ...(detail && { detail }) })
  }

  #idOf(row: Row): string {
    return row[this.#options.idColumn ?? 'id'] as string
  }

  #resourceOf(row: Row): Resource {
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
