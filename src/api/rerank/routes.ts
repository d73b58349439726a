import { documentsRerankRequest, documentsRerankResponse } from '../../schemas/rerank-documents.ts'
import { execute } from '../../inference/execute.ts'
import { rerank } from '../../operations/rerank.ts'
import { rerankResponse } from '../../schemas/rerank.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'
import { toDocumentsResponse, toRerankRequest } from './documents.ts'

export const rerankDocuments = defineRoute({
  method: 'POST',
  path: '/v1/rerank',
  equivalents: ['/v2/rerank', '/rerank'],
  api: 'inference',
  operationId: 'rerankDocuments',
  tag: 'Rerank',
  summary: 'Rerank documents',
  description: 'Ranks documents by their relevance to a query, in the format of Cohere and Jina.',
  operation: rerank,
  body: documentsRerankRequest,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The documents by descending relevance.', json: documentsRerankResponse } },
  async handle({ body, bytes, members, call }, { inference }) {
    const ranking = await execute(rerank, { model: body.model, body: toRerankRequest(body), bytes, members }, call, inference)
    return toDocumentsResponse(ranking, body)
  },
})

export const rerankItems = defineRoute({
  method: 'POST',
  path: '/v1alpha/inference/rerank',
  api: 'inference',
  operationId: 'rerank',
  tag: 'Rerank',
  summary: 'Rerank items',
  description: 'Ranks items by their relevance to a query, in the format of Llama Stack.',
  operation: rerank,
  body: rerank.request,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The indices of the items, by descending relevance.', json: rerankResponse } },
  async handle({ body, bytes, members, call }, { inference }) {
    const { data } = await execute(rerank, { model: body.model, body, bytes, members }, call, inference)
    return { data }
  },
})
