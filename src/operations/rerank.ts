import { type RerankRequest, rerankRequest } from '../schemas/rerank.ts'
import { rerankFormat } from './llama-stack/rerank.ts'
import type { Operation } from './operation.ts'
import type { Ranking } from './reply.ts'

/** Documents are ranked by their relevance to a query. */
export const rerank: Operation<RerankRequest, Ranking> = {
  name: 'rerank',
  modelType: 'rerank',
  // The conventions define no name for it.
  genAiName: 'rerank',
  producesText: false,
  streams: false,
  request: rerankRequest,
  format: rerankFormat,
}
