import type { OwnedColumns } from '../storage/tables.ts'
import type { OwnedRows, OwnedRowsOptions } from './owned-table.ts'

/** The rows of a table whose rows have owners. What SQL takes is loaded, and the database opened, with the first call. */
export function ownedRows<Row extends OwnedColumns>(options: OwnedRowsOptions<Row>): OwnedRows<Row> {
  let loading: Promise<OwnedRows<Row>> | undefined
  const load = async (): Promise<OwnedRows<Row>> => {
    const [{ createSqlRows }, database] = await Promise.all([import('./owned-rows-sql.ts'), options.database.open()])
    return createSqlRows(database, options)
  }
  const loaded = (): Promise<OwnedRows<Row>> =>
    (loading ??= load().catch((error: unknown) => {
      loading = undefined
      throw error
    }))
  return {
    insert: async (...input) => (await loaded()).insert(...input),
    get: async (...input) => (await loaded()).get(...input),
    list: async (...input) => (await loaded()).list(...input),
    update: async (...input) => (await loaded()).update(...input),
    delete: async (...input) => (await loaded()).delete(...input),
  }
}
