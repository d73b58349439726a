import type { Kysely, RawBuilder, Transaction as KyselyTransaction } from 'kysely'
import type { RowTexts } from './add-rows.ts'
import type { Isolation } from './session.ts'
import type { Tables } from './tables.ts'

/** A database that only reads. */
export type DatabaseReader = Pick<Kysely<Tables>, 'selectFrom' | 'with' | 'withRecursive' | 'fn' | 'getExecutor'>

/** One transaction of a database that may write. */
export type Transaction = KyselyTransaction<Tables>

/** What is watched until it is disposed of. */
export interface RevisionSubscription extends Disposable {
  /** Looks now. Resolves once a look that began after this call is over, whether or not it worked. */
  poll(): Promise<void>
}

/** A database that need not be loaded, opened or created yet. Every `Database` is one as well. */
export interface DatabaseSource {
  /** Loads what SQL takes and begins to open it, the first time; queries wait until it is open. */
  open(): Promise<Database>
}

/** One database, SQLite or PostgreSQL, its tables up to date once a query is run. */
export interface Database extends DatabaseSource, AsyncDisposable {
  readonly engine: 'sqlite' | 'postgres'
  /** For messages, without secrets: the file, or `postgres://host:port/database`. */
  readonly place: string
  readonly read: DatabaseReader
  /**
   * Runs `work` as one transaction and resolves once it is durable: what was acknowledged survives `kill -9` and a loss of power. Transactions
   * that lose a race (a deadlock, a serialisation failure) are run again, so `work` has no effect but on the database.
   * Throws ApiError 503 when the database is out of reach.
   *
   * On SQLite one transaction runs at a time, so `work` waits for nothing but its own statements. On PostgreSQL the isolation is "read committed"
   * unless `serializable` is requested: take amounts with a condition in the UPDATE itself, never by reading first.
   */
  write<T>(work: (transaction: Transaction) => Promise<T>, options?: { isolation?: Isolation }): Promise<T>
  /**
   * Runs one statement that writes, as durable as a transaction of it alone, in one message: whatever keeps this process busy, other processes wait
   * for no more than the statement. Gives its rows. It is run once: a race that is lost is an error.
   */
  statement<R>(statement: RawBuilder<R>): Promise<R[]>
  /**
   * Adds rows, all or none, as durable as a transaction. A row whose key exists is left as it is, so rows may be added again where it is not known whether
   * they were. Text and numbers come as the columns' types say: they are not looked through.
   */
  add<T extends keyof Tables>(table: T, texts: RowTexts<T>): Promise<void>
  /**
   * Calls `onChange` when the revision of `scope` has changed, in this process or another: on PostgreSQL at once (LISTEN) and within a second where
   * the notification is lost, within a quarter of a second on SQLite. `onChange` is also called once at first, so that a subscriber that loads on it
   * misses nothing; it receives a reader whose connections respond or fail soon. `onError` is called when polling fails, and `onChange` again after
   * that; `onPolled` after each successful poll.
   */
  watch(
    scope: string,
    watcher: { onChange(read?: DatabaseReader): void; onError(error: unknown): void; onPolled?(): void },
  ): RevisionSubscription
}

/** To be called in the transaction that changes what `scope` names: its watchers are called after the commit. */
export type BumpRevision = (transaction: Transaction, scope: string) => Promise<void>
