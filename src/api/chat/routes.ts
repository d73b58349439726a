import { invalidRequest } from '../../errors.ts'
import { chatCompletion, chatCompletionChunk, type RelayedChatRequest, relayedChatRequest } from '../../schemas/chat.ts'
import { operations } from '../../operations/index.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'
import { toResponse } from '../reply.ts'

export const createChatCompletion = defineRoute({
  method: 'POST',
  path: '/v1/chat/completions',
  api: 'inference',
  operationId: 'createChatCompletion',
  tag: 'Chat',
  summary: 'Create a chat completion',
  description: 'Generates a response to a conversation with any model that `GET /v1/models` lists, as JSON or as a stream.',
  operation: operations.chat,
  body: relayedChatRequest,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The completion, or its chunks as events.', json: chatCompletion, events: chatCompletionChunk } },
  async handle({ body, bytes, members, call, dialect }, { models, streams, checkImageUrls }) {
    checkImageUrls(body.messages)
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'chat', call)
    requireTools(body)
    return toResponse(invoke({ model, catalogueId, requestedModel: body.model, body, bytes, members }, call), call, {
      stream: body.stream === true,
      times: streams,
      dialect,
    })
  },
})

/** As OpenAI and Llama Stack do it: a choice among no tools is a mistake of the caller's, "none" included. */
function requireTools({ tools, tool_choice: choice }: RelayedChatRequest): void {
  if ((choice ?? undefined) === undefined || (tools ?? undefined) !== undefined) return
  throw invalidRequest("'tool_choice' is only allowed when 'tools' are specified. Add 'tools' or remove 'tool_choice'.", {
    param: 'tool_choice',
  })
}
