import { type RawBuilder, sql } from 'kysely'
import type { Database } from './database.ts'

/**
 * Unix milliseconds by the database's clock, for times that several processes compare: PostgreSQL's server has one, and the processes of one
 * SQLite file share their machine's. Not the transaction's beginning: a transaction that waited for a lock sees the time after it.
 */
export function databaseTime(engine: Database['engine']): RawBuilder<number> {
  return engine === 'postgres'
    ? sql`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`
    : sql`cast(round(unixepoch('subsec') * 1000) as integer)`
}
