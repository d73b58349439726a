import type { Kysely, Transaction as KyselyTransaction } from 'kysely'
import type { Tables } from './tables.ts'

/** A database that only reads. */
export type Reader = Pick<Kysely<Tables>, 'selectFrom' | 'with' | 'withRecursive' | 'fn' | 'getExecutor'>

/** One transaction of a database that may write. */
export type Transaction = KyselyTransaction<Tables>

/** One open database, SQLite or PostgreSQL, its tables up to date. */
export interface Database extends AsyncDisposable {
  readonly engine: 'sqlite' | 'postgres'
  readonly read: Reader
  /**
   * Runs `work` as one transaction and resolves once it is durable: what was acknowledged survives `kill -9` and a loss of power. Transactions
   * that lose a race (a deadlock, a serialisation failure) are run again, so `work` has no effect but on the database.
   * Throws ApiError 503 when the database is out of reach.
   */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>
  /**
   * Tells when the revision of `scope` has changed, in this process or another: at once on PostgreSQL (LISTEN), within a quarter of a second
   * on SQLite. `failed` is told when looking fails, `changed` is called again after that.
   */
  watch(scope: string, watcher: { changed(): void; failed(error: unknown): void }): Disposable
}

/** To be called in the transaction that changes what `scope` names: whoever watches it is told after the commit. */
export type BumpRevision = (transaction: Transaction, scope: string) => Promise<void>
