import { z } from 'zod'
import { invalidRequest } from '../../errors.ts'
import type { RerankRequest, RerankResponse } from '../../schemas/rerank.ts'
import { readAnswer } from './read-answer.ts'

/** The text of the query or of an item; images are not for text rerankers. */
export function textOf(item: RerankRequest['query'], param: string): string {
  if (typeof item === 'string') return item
  const { text } = item as { text?: unknown }
  if (item.type === 'text' && typeof text === 'string') return text
  throw invalidRequest(`This provider reranks texts only, not '${item.type}'.`, { param })
}

export function textsOf({ query, items }: RerankRequest): { query: string; items: string[] } {
  return { query: textOf(query, 'query'), items: items.map((item, at) => textOf(item, `items[${at}]`)) }
}

const scored = z.looseObject({ index: z.int(), relevance_score: z.number().optional(), logit: z.number().optional() })
const answerSchema = z.union([
  z.looseObject({ results: z.array(scored) }).transform(({ results }) => results),
  z.looseObject({ rankings: z.array(scored) }).transform(({ rankings }) => rankings),
])

/** A reranker's answer, Jina's (`results`, `relevance_score`) or NVIDIA's (`rankings`, `logit`): best first, no more than asked for. */
export function fromRanking(answer: unknown, limit: number | null | undefined): RerankResponse {
  const entries = readAnswer(answerSchema, answer, 'a ranking')
  const data = entries.map(({ index, relevance_score, logit }) => ({ index, relevance_score: relevance_score ?? logit ?? 0 }))
  return { data: data.toSorted((a, b) => b.relevance_score - a.relevance_score).slice(0, limit ?? data.length) }
}
