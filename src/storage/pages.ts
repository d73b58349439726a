import { type SelectQueryBuilder, sql } from 'kysely'
import { invalidRequest, shortened } from '../errors.ts'
import { timeOfId } from './ids.ts'

/** One page of a list, by the parameters of OpenAI's lists. */
export interface PageRequest {
  /** Rows at most, 1 or more. */
  readonly limit: number
  /** By `created_at`, then `id`. OpenAI's lists begin with the newest: `desc`. */
  readonly order: 'asc' | 'desc'
  /** A row's id, or `cursorOf` it: the page begins behind that row. */
  readonly after?: string | undefined
  /** The page ends in front of that row. With `before` alone these are the nearest rows in front of it. */
  readonly before?: string | undefined
}

export interface Page<R> {
  /** In the requested order. */
  readonly rows: R[]
  /** Whether there are more in the direction of reading: behind the last row, or, with `before` alone, in front of the first. */
  readonly hasMore: boolean
}

interface PageOptions<R> {
  /** The part of a policy that SQL cannot say. What it does not keep is as if it were not there; reading goes on until the page is full. */
  readonly filter?: ((row: R) => boolean) | undefined
  /** The table whose `created_at` and `id` count, where the query has several. */
  readonly table?: string | undefined
}

/** The columns that pages need. Neither ever changes. */
interface PageRow {
  readonly id: string
  readonly created_at: number
}

/** Rows read at once where `keep` may leave some out. */
const maxBatchSize = 500

/**
 * Reads one page. Going through a list page by page shows every row that is there the whole time exactly once, and no row twice, whatever comes and
 * goes meanwhile. `query` has its conditions and no order or limit. Throws ApiError 400 for a cursor that leads nowhere.
 */
export async function pageOf<DB, TB extends keyof DB, R extends PageRow>(
  query: SelectQueryBuilder<DB, TB, R>,
  request: PageRequest,
  options: PageOptions<R> = {},
): Promise<Page<R>> {
  const { limit, order } = request
  const columns = options.table === undefined ? '' : `${options.table}.`
  const [createdAt, id] = [sql.ref<number>(`${columns}created_at`), sql.ref<string>(`${columns}id`)]
  const positionAt = async (param: 'after' | 'before') => {
    const cursor = request[param]
    if (cursor === undefined) return undefined
    const [row] = await query
      .where(sql<boolean>`${id} = ${cursor}`)
      .limit(1)
      .execute()
    const position = row && (options.filter?.(row) ?? true) ? row : positionOf(cursor)
    if (position) return position
    throw invalidRequest(`There is no '${shortened(cursor)}' to list ${param}: it may have been deleted. Begin again without a cursor.`, {
      param,
    })
  }
  const [after, before] = [await positionAt('after'), await positionAt('before')]
  const backwards = before !== undefined && after === undefined
  const direction = (order === 'asc') === backwards ? 'desc' : 'asc'

  const read = async (previous: PageRow | undefined, count: number): Promise<R[]> => {
    let rows = query
    const end = backwards ? undefined : before
    if (previous) rows = rows.where(isPast(direction, previous))
    if (end) rows = rows.where(isPast(direction === 'asc' ? 'desc' : 'asc', end))
    return await rows.orderBy(createdAt, direction).orderBy(id, direction).limit(count).execute()
  }
  const isPast = (ordering: 'asc' | 'desc', row: PageRow) =>
    ordering === 'asc'
      ? sql<boolean>`(${createdAt}, ${id}) > (${row.created_at}, ${row.id})`
      : sql<boolean>`(${createdAt}, ${id}) < (${row.created_at}, ${row.id})`

  const found = await readUntilFull((previous, count) => read(previous ?? (backwards ? before : after), count), limit, options.filter)
  const rows = found.slice(0, limit)
  return { rows: backwards ? rows.toReversed() : rows, hasMore: found.length > limit }
}

/** One row more than the limit, where there is one. */
async function readUntilFull<R extends PageRow>(
  read: (previous: R | undefined, count: number) => Promise<R[]>,
  limit: number,
  filter: PageOptions<R>['filter'],
): Promise<R[]> {
  if (!filter) return await read(undefined, limit + 1)
  const found: R[] = []
  let last: R | undefined
  for (let count = limit + 1; ; count = Math.min(count * 2, Math.max(maxBatchSize, limit + 1))) {
    const rows = await read(last, count)
    for (const row of rows) if (found.length <= limit && filter(row)) found.push(row)
    last = rows.at(-1)
    if (found.length > limit || rows.length < count) return found
  }
}

/** A cursor that remains valid after its row is deleted, for rows whose ids contain no time (see `newId`). */
export function cursorOf({ created_at, id }: PageRow): string {
  return `${cursorPrefix}${new TextEncoder().encode(`${created_at}:${id}`).toBase64({ alphabet: 'base64url', omitPadding: true })}`
}

const cursorPrefix = 'cursor_'

/** The place in the list of a row that is not there (any more). */
function positionOf(cursor: string): PageRow | undefined {
  const time = timeOfId(cursor)
  if (time !== undefined) return { created_at: time, id: cursor }
  if (!cursor.startsWith(cursorPrefix)) return undefined
  const [, createdAt, id] = /^(\d{1,15}):(.*)$/s.exec(decoded(cursor.slice(cursorPrefix.length)) ?? '') ?? []
  return createdAt !== undefined && id !== undefined && !id.includes('\0') ? { created_at: Number(createdAt), id } : undefined
}

function decoded(text: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.fromBase64(text, { alphabet: 'base64url' }))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}
