import { execute } from '../../inference/execute.ts'
import { toResponse } from '../../inference/response.ts'
import { completions } from '../../operations/completions.ts'
import { completion } from '../../schemas/completions.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'

export const createCompletion = defineRoute({
  method: 'POST',
  path: '/v1/completions',
  api: 'inference',
  operationId: 'createCompletion',
  tag: 'Completions',
  summary: 'Create a completion',
  description: 'Continues a text. Newer models are trained for chat completions.',
  operation: completions,
  body: completions.request,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The completion, or its chunks as events.', json: completion, events: completion } },
  handle({ body, bytes, members, call, dialect }, { inference, streams }) {
    const reply = execute(completions, { model: body.model, body, bytes, members }, call, inference)
    return toResponse(reply, call, { stream: body.stream === true, times: streams, dialect })
  },
})
