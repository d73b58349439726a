import { z } from 'zod'

const item = z.union([z.string(), z.looseObject({ type: z.string() })])

export const rerankRequest = z.looseObject({
  model: z.string(),
  query: item,
  items: z.array(item),
  max_num_results: z.int().positive().nullish(),
})
export type RerankRequest = z.output<typeof rerankRequest>

export const rerankResponse = z.object({ data: z.array(z.object({ index: z.int(), relevance_score: z.number() })) })
export type RerankResponse = z.output<typeof rerankResponse>
