import type { OwnedRows, OwnedRowsOptions, OwnedTable } from './owned-table.ts'

/** The rows of a table whose rows have owners. What SQL takes is loaded, and the database opened, with the first call. */
export function ownedRows<T extends OwnedTable>(options: OwnedRowsOptions<T>): OwnedRows<T> {
  let loading: Promise<OwnedRows<T>> | undefined
  const load = async (): Promise<OwnedRows<T>> => {
    const [{ createSqlRows }, database] = await Promise.all([import('./owned-rows-sql.ts'), options.database.open()])
    return createSqlRows(database, options)
  }
  const loaded = (): Promise<OwnedRows<T>> =>
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
