import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Sessions } from './session.ts'
import type { Tables } from './tables.ts'

/** Rows of one table as texts, which may wait by the thousands: objects that live so long cost the garbage collector five times as much. */
export interface RowTexts<T extends keyof Tables> {
  readonly columns: readonly (keyof Tables[T] & string)[]
  /** Each a JSON list of one row's values, in the columns' order. */
  readonly rows: readonly string[]
}

/** One parameter for all rows, which costs PostgreSQL a fifth of a parameter for each value. */
export function insertAll<T extends keyof Tables>(table: T, { columns, rows }: RowTexts<T>): RawBuilder<unknown> {
  const names = sql.join(columns.map((name) => sql.ref(name)))
  const values = sql`array(select json_array_elements_text(line))`
  const record = sql`json_populate_record(null::${sql.table(table)}, json_object(array[${sql.join(columns)}]::text[], ${values}))`
  const lines = sql`json_array_elements(${listOf(rows)}::json) as lines(line), lateral ${record} as record`
  return sql`insert into ${sql.table(table)} (${names}) select ${sql.join(columns.map((name) => sql.ref(`record.${name}`)))} from ${lines} on conflict do nothing`
}

/** One statement that SQLite's thread runs for each row: to take JSON apart in SQL costs it twice as much. */
export async function insertEach<T extends keyof Tables>(
  table: T,
  { columns, rows }: RowTexts<T>,
  { compiler, sessions }: { compiler: Kysely<Tables>; sessions: Sessions },
): Promise<void> {
  const names = sql.join(columns.map((name) => sql.ref(name)))
  const values = sql.join(columns.map(() => sql`?`))
  const { sql: insert } = sql`insert into ${sql.table(table)} (${names}) values (${values}) on conflict do nothing`.compile(compiler)
  const session = await sessions.acquire()
  try {
    if (!session.executeEach) throw new Error('this engine runs no statement for each row')
    await session.executeEach(insert, listOf(rows))
  } finally {
    session.release()
  }
}

function listOf(rows: readonly string[]): string {
  return `[${rows.join(',')}]`
}
