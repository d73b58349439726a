import type { SqliteConnection } from '../../runtime/sqlite.ts'
import type { TraceStoreLimits } from '../worker/messages.ts'
import { numberOf } from './schema.ts'
import { deleteOlder, deleteOldest, deleteOldestLogged } from './statements.ts'

/** Traces deleted in one transaction: other processes wait for no longer. */
const batch = 50

/** Part of the limit that is left after deleting, so that not every write deletes. */
const leftOver = 0.9

/**
 * Keeps the store within its limits: traces that are too old, then the oldest until the rest is small enough; records that callers logged are
 * deleted before the server's own, so that a caller cannot evict the records of others' requests by logging.
 */
export class Retention {
  readonly #connection: SqliteConnection
  readonly #limits: TraceStoreLimits
  readonly #pageSize: number

  constructor(connection: SqliteConnection, limits: TraceStoreLimits) {
    this.#connection = connection
    this.#limits = limits
    this.#pageSize = numberOf(connection, 'pragma page_size')
  }

  /** Deletes expired traces. `now` is in Unix milliseconds. */
  deleteOlder(now: number): void {
    const before = now - this.#limits.maxAge
    while (this.#connection.execute(deleteOlder, [before, batch]).changes > 0);
    this.#giveBack()
  }

  /** Deletes the oldest where the file holds more than it may. */
  shrink(): void {
    const { maxBytes } = this.#limits
    if (this.#used() <= maxBytes) return
    for (const statement of [deleteOldestLogged, deleteOldest]) {
      while (this.#used() > maxBytes * leftOver) {
        if (this.#connection.execute(statement, [batch]).changes === 0) break
      }
    }
    this.#giveBack()
  }

  /** Bytes, without the pages that are free. */
  #used(): number {
    const pages = numberOf(this.#connection, 'pragma page_count') - numberOf(this.#connection, 'pragma freelist_count')
    return pages * this.#pageSize
  }

  /** Returns free pages to the system, and checkpoints the write-ahead log unless readers prevent it. */
  #giveBack(): void {
    if (numberOf(this.#connection, 'pragma freelist_count') === 0) return
    this.#connection.execute('pragma incremental_vacuum', [])
    this.#connection.execute('pragma wal_checkpoint(passive)', [])
  }
}
