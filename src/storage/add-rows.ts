import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Sessions } from './session.ts'
import type { Tables } from './tables.ts'

/** One parameter for all rows, which costs PostgreSQL a fifth of a parameter for each value. */
export function insertAll<T extends keyof Tables>(table: T, rows: readonly Tables[T][]): RawBuilder<unknown> {
  const names = sql.join(columnsOf(rows).map((name) => sql.ref(name)))
  const values = sql`json_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(rows)}::json)`
  return sql`insert into ${sql.table(table)} (${names}) select ${names} from ${values} on conflict do nothing`
}

/** One statement that SQLite's thread runs for each row: to take JSON apart in SQL costs it twice as much. */
export async function insertEach<T extends keyof Tables>(
  table: T,
  rows: readonly Tables[T][],
  { compiler, sessions }: { compiler: Kysely<Tables>; sessions: Sessions },
): Promise<void> {
  const columns = columnsOf(rows)
  const names = sql.join(columns.map((name) => sql.ref(name)))
  const values = sql.join(columns.map(() => sql`?`))
  const { sql: insert } = sql`insert into ${sql.table(table)} (${names}) values (${values}) on conflict do nothing`.compile(compiler)
  const session = await sessions.acquire()
  try {
    if (!session.executeEach) throw new Error('this engine runs no statement for each row')
    await session.executeEach(insert, JSON.stringify(rows.map((row) => columns.map((name) => row[name]))))
  } finally {
    session.release()
  }
}

/** As the first row names them. */
function columnsOf<T extends keyof Tables>([first]: readonly Tables[T][]): (keyof Tables[T] & string)[] {
  return Object.keys(first ?? {}) as (keyof Tables[T] & string)[]
}
