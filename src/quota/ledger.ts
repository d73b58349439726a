import type { LedgerRow } from '../storage/tables.ts'

/** One answer of a model, as it is written down. */
export type LedgerEntry = Omit<LedgerRow, 'id' | 'created_at'>

/** What was used, line by line; lines are only ever added. */
export interface Ledger extends AsyncDisposable {
  /** Takes a line without waiting. */
  record(entry: LedgerEntry): void
  /** Writes what is there now; resolves once it is durable, or could not be written. */
  flush(): Promise<void>
}
