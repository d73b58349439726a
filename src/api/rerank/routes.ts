import { documentsRerankRequest, documentsRerankResponse } from '../../schemas/rerank-documents.ts'
import { rerankRequest, rerankResponse } from '../../schemas/rerank.ts'
import { defineRoute } from '../define.ts'
import { toDocumentsResponse, toRerankRequest } from './documents.ts'

export const rerankDocuments = defineRoute({
  method: 'POST',
  path: '/v1/rerank',
  equivalents: ['/v2/rerank', '/rerank'],
  api: 'inference',
  operationId: 'rerankDocuments',
  tag: 'Rerank',
  summary: 'Rerank documents',
  description: 'Ranks documents by their relevance to a query, in the form of Cohere and Jina.',
  body: documentsRerankRequest,
  responses: { 200: { description: 'The documents by falling relevance.', json: documentsRerankResponse } },
  async handle({ body, bytes, call }, { models }) {
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'rerank', call)
    const ranking = await invoke({ model, catalogueId, requestedModel: body.model, body: toRerankRequest(body), bytes }, call)
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
  description: 'Puts documents in the order of their relevance to a query, in the form of Llama Stack.',
  body: rerankRequest,
  responses: { 200: { description: 'The documents’ places in the request, by falling relevance.', json: rerankResponse } },
  async handle({ body, bytes, call }, { models }) {
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'rerank', call)
    const { data } = await invoke({ model, catalogueId, requestedModel: body.model, body, bytes }, call)
    return { data }
  },
})
