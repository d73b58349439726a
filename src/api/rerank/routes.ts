import { rerankRequest, rerankResponse } from '../../schemas/rerank.ts'
import { defineRoute } from '../define.ts'

export const rerank = defineRoute({
  method: 'POST',
  path: '/v1alpha/inference/rerank',
  api: 'inference',
  operationId: 'rerank',
  tag: 'Rerank',
  summary: 'Rerank documents',
  description: 'Puts documents in the order of their relevance to a query.',
  body: rerankRequest,
  responses: { 200: { description: 'The documents’ places in the request, by falling relevance.', json: rerankResponse } },
  async handle({ body, bytes, call }, { models }) {
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'rerank', call)
    const { data } = await invoke({ model, catalogueId, told: body.model, body, bytes }, call)
    return { data }
  },
})
