import { z } from 'zod'
import { ApiError, invalidRequest } from '../../errors.ts'
import type { RerankRequest } from '../../schemas/rerank.ts'
import type { ModelRequest, Ranking } from '../provider.ts'
import { parseReply } from './parse-reply.ts'
import { readRankingUsage } from './usage.ts'

/** The text of the query or of an item; images are not for text rerankers. */
function textOf(item: RerankRequest['query'], param: string): string {
  if (typeof item === 'string') return item
  const { text } = item as { text?: unknown }
  if (item.type === 'text' && typeof text === 'string') return text
  throw invalidRequest(`This provider reranks texts only, not '${item.type}'.`, { param })
}

export function textsOf({ query, items }: RerankRequest): { query: string; items: string[] } {
  return { query: textOf(query, 'query'), items: items.map((item, at) => textOf(item, `items[${at}]`)) }
}

/** The request in the form of Jina and Cohere, which vLLM and llama.cpp's server take. */
export function toDocumentsRequest({ model, body }: ModelRequest<RerankRequest>) {
  const { query, items } = textsOf(body)
  const limit = body.max_num_results
  return { model, query, documents: items, ...(limit && { top_n: limit }) }
}

const scored = z.looseObject({
  index: z.int().nonnegative(),
  relevance_score: z.number().optional(),
  score: z.number().optional(),
  logit: z.number().optional(),
})
const rankingSchema = z.union([
  z.looseObject({ results: z.array(scored) }).transform(({ results }) => results),
  z.looseObject({ rankings: z.array(scored) }).transform(({ rankings }) => rankings),
  z.array(scored),
])

/**
 * A reranker's response, best first, at most `limit` entries: Jina's and Cohere's (`results`, `relevance_score`), NVIDIA's (`rankings`,
 * `logit`) or TEI's (a list, `score`). `items`: how many were sent. Throws ApiError 502 when it is none of
 * them, names an item that was not sent, or names one twice.
 */
export function fromRanking(reply: unknown, limit: number | null | undefined, items = Infinity): Ranking {
  const entries = parseReply(rankingSchema, reply, 'a ranking')
  if (entries.some(({ index }) => index >= items)) {
    throw new ApiError('upstream_error', "The provider's ranking names a document that was not sent.", {
      code: 'upstream_invalid_response',
    })
  }
  if (new Set(entries.map(({ index }) => index)).size < entries.length) {
    throw new ApiError('upstream_error', "The provider's ranking names a document more than once.", { code: 'upstream_invalid_response' })
  }
  const data = entries.map(({ index, relevance_score, score, logit }) => ({
    index,
    relevance_score: relevance_score ?? score ?? logit ?? 0,
  }))
  const usage = readRankingUsage(reply)
  return { data: data.toSorted((a, b) => b.relevance_score - a.relevance_score).slice(0, limit ?? data.length), ...(usage && { usage }) }
}
