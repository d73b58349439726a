import { z } from 'zod'

interface PageQueryOptions {
  /** What is listed, in the singular, e.g. `key`. */
  readonly noun: string
  readonly maxLimit?: number | undefined
  readonly defaultLimit?: number | undefined
}

/** The query of a list route, as OpenAI's lists are read page by page. */
export function pageQuery({ noun, maxLimit = 100, defaultLimit = 20 }: PageQueryOptions) {
  return z.object({
    limit: z.coerce.number().int().min(1).max(maxLimit).default(defaultLimit),
    order: z.enum(['asc', 'desc']).default('desc').meta({ description: 'By time of creation.' }),
    after: z
      .string()
      .max(200)
      .optional()
      .meta({ description: `The id of the last ${noun} of the previous page.` }),
  })
}

/** The body of a list response. `id`: what the document calls it, e.g. `ListApiKeysResponse`. */
export function listResponse<Item extends z.ZodType>(item: Item, id: string) {
  return z
    .object({
      object: z.literal('list'),
      data: z.array(item),
      first_id: z.string().nullable(),
      last_id: z.string().nullable(),
      has_more: z.boolean(),
    })
    .meta({ id })
}

interface ListBody<Item> {
  readonly object: 'list'
  readonly data: readonly Item[]
  readonly first_id: string | null
  readonly last_id: string | null
  readonly has_more: boolean
}

/** A page of rows as the body of a list response. */
export function toListBody<Row, Item extends { readonly id: string }>(
  { rows, hasMore }: { readonly rows: readonly Row[]; readonly hasMore: boolean },
  show: (row: Row) => Item,
): ListBody<Item> {
  const data = rows.map(show)
  return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: hasMore }
}
