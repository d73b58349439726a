import { chatCompletion, chatCompletionChunk } from '../../schemas/chat.ts'
import { execute } from '../../inference/execute.ts'
import { toResponse } from '../../inference/response.ts'
import { chat } from '../../operations/chat.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'

export const createChatCompletion = defineRoute({
  method: 'POST',
  path: '/v1/chat/completions',
  api: 'inference',
  operationId: 'createChatCompletion',
  tag: 'Chat',
  summary: 'Create a chat completion',
  description: 'Generates a response to a conversation with any model that `GET /v1/models` lists, as JSON or as a stream.',
  operation: chat,
  body: chat.request,
  smallFields: relayedSmallFields,
  responses: { 200: { description: 'The completion, or its chunks as events.', json: chatCompletion, events: chatCompletionChunk } },
  handle({ body, bytes, members, call, dialect }, { inference, streams, checkImageUrls }) {
    checkImageUrls(body.messages)
    const reply = execute(chat, { model: body.model, body, bytes, members }, call, inference)
    return toResponse(reply, call, { stream: body.stream === true, times: streams, dialect })
  },
})
