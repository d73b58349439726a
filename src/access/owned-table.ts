import type { Expression, SqlBool } from 'kysely'
import type { Call } from '../call.ts'
import type { DatabaseSource, Transaction } from '../storage/database.ts'
import type { Page, PageRequest } from '../storage/pages.ts'
import type { OwnedColumns, Tables } from '../storage/tables.ts'
import type { Events } from '../telemetry/events.ts'
import type { AccessPolicy, Action, Owner } from './policy.ts'

/** The tables whose rows have owners. */
export type OwnedTable = { [T in keyof Tables]: Tables[T] extends OwnedColumns ? T : never }[keyof Tables]

type KnownTableOf<Row> = { [T in keyof Tables]: [Tables[T], Row] extends [Row, Tables[T]] ? T : never }[keyof Tables]

/** The table that has such rows; one that is not in `Tables` (a test's own) has any name. */
type TableOf<Row> = [KnownTableOf<Row>] extends [never] ? string : KnownTableOf<Row>

/** Who asks: what every function of a store wants first, so that none can be called without. */
export type AccessSubject = Pick<Call, 'requestId' | 'principal' | 'clientAddress'>

/** What is given for a new row: all but whose it is. */
export type NewRow<Row extends OwnedColumns> = Omit<Row, 'owner_id' | 'owner_attributes'>
/** What may change of a row: never whose it is, which it is and since when. */
export type Changes<Row extends OwnedColumns> = Partial<Omit<Row, keyof OwnedColumns>>

export interface OwnedRowsOptions<Row extends OwnedColumns> {
  /** Opened on first use. */
  readonly database: DatabaseSource
  readonly table: TableOf<Row>
  /** What policies call it, e.g. `api_key`. */
  readonly type: string
  /** What people call it, e.g. `API key`. */
  readonly kind: string
  readonly policy: AccessPolicy
  readonly events?: Pick<Events, 'resourceChanged'> | undefined
  /** The column with the id that policies and callers know. Default: `id`. */
  readonly idColumn?: (keyof Row & string) | undefined
  /** Actions that a rule of the configured policy has to permit: the default policy does not, nor does the want of authentication. */
  readonly explicit?: readonly Action[] | undefined
  /** The revision that is raised in the transaction of each change, for snapshots of the table. */
  readonly revision?: string | undefined
}

/** How a change is reported. */
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
  /** For work of the server itself, which must set the owner (null: unowned); other callers cannot. */
  readonly owner?: Owner | null | undefined
  /** Runs in the transaction of the insert, e.g. to queue a job for the row. */
  readonly alsoWrite?: ((transaction: Transaction) => Promise<unknown>) | undefined
}

export interface ListOptions<R> {
  /** A further condition, besides what the caller may read. */
  readonly where?: Expression<SqlBool> | undefined
  /** The same for what SQL cannot say. */
  readonly filter?: ((row: R) => boolean) | undefined
}

/**
 * A table whose rows have owners, with the access policy inside: what may not be read does not exist for the caller (404), what may be read
 * but not changed is 403; the error's `denial` logs either. Checks and changes are one transaction. Rows keep the owner they
 * were made with.
 */
export interface OwnedRows<Row extends OwnedColumns> {
  /** Throws ApiError 403; 409 where the id is taken; 503 where the audit log cannot be written (as do all changes). The row belongs to the caller; without authentication it has no owner. */
  insert(call: AccessSubject, row: NewRow<Row>, options?: InsertOptions): Promise<Row>
  /** Throws ApiError 404. */
  get(call: AccessSubject, id: string): Promise<Row>
  /** One page of what the caller may read, full as long as there is enough. Throws ApiError 400 for a bad cursor. */
  list(call: AccessSubject, request: PageRequest, options?: ListOptions<Row>): Promise<Page<Row>>
  /**
   * Gives the row as it is then. `change` may go by the row as it was, refuse by throwing, or leave it as it is with `undefined`, which is reported
   * nowhere. Throws ApiError 404, 403.
   */
  update(
    call: AccessSubject,
    id: string,
    change: Changes<Row> | ((row: Row) => Changes<Row> | undefined),
    options?: UpdateOptions,
  ): Promise<Row>
  /** Gives the row as it was. Throws ApiError 404, 403. */
  delete(call: AccessSubject, id: string, record?: ChangeRecord): Promise<Row>
}
