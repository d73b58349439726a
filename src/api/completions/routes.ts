import { completion, relayedCompletionRequest } from '../../schemas/completions.ts'
import { operations } from '../../operations/index.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'
import { toResponse } from '../reply.ts'

export const createCompletion = defineRoute({
  method: 'POST',
  path: '/v1/completions',
  api: 'inference',
  operationId: 'createCompletion',
  tag: 'Completions',
  summary: 'Create a completion',
  description: 'Continues a text. Newer models are trained for chat completions.',
  operation: operations.completions,
  body: relayedCompletionRequest,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The completion, or its chunks as events.', json: completion, events: completion } },
  async handle({ body, bytes, members, call, dialect }, { models, streams }) {
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'completions', call)
    return toResponse(invoke({ model, catalogueId, requestedModel: body.model, body, bytes, members }, call), call, {
      stream: body.stream === true,
      times: streams,
      dialect,
    })
  },
})
