import { documentsRerankRequest, documentsRerankResponse } from '../../schemas/rerank-documents.ts'
import { rerankRequest, rerankResponse } from '../../schemas/rerank.ts'
import { operations } from '../../operations/index.ts'
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
  operation: operations.rerank,
  body: documentsRerankRequest,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The documents by descending relevance.', json: documentsRerankResponse } },
  async handle({ body, bytes, members, call }, { models }) {
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'rerank', call)
    const ranking = await invoke({ model, catalogueId, requestedModel: body.model, body: toRerankRequest(body), bytes, members }, call)
    return toDocumentsResponse(ranking, body)
  },
})

export const rerank = defineRoute({
  method: 'POST',
  path: '/v1alpha/inference/rerank',
  api: 'inference',
  operationId: 'rerank',
  tag: 'Rerank',
  summary: 'Rerank items',
  description: 'Ranks items by their relevance to a query, in the format of Llama Stack.',
  operation: operations.rerank,
  body: rerankRequest,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The indices of the items, by descending relevance.', json: rerankResponse } },
  async handle({ body, bytes, members, call }, { models }) {
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'rerank', call)
    const { data } = await invoke({ model, catalogueId, requestedModel: body.model, body, bytes, members }, call)
    return { data }
  },
})
