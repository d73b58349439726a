import { invalidRequest } from '../errors.ts'
import { type RelayedChatRequest, relayedChatRequest } from '../schemas/chat.ts'
import { openaiFormat } from './openai/format.ts'
import type { Operation } from './operation.ts'
import type { Reply } from './reply.ts'

/** A conversation is continued by one message. */
export const chat: Operation<RelayedChatRequest, Reply> = {
  name: 'chat',
  modelType: 'llm',
  genAiName: 'chat',
  producesText: true,
  streams: true,
  request: relayedChatRequest,
  validate: requireTools,
  format: openaiFormat('openai.chat', '/chat/completions'),
}

/** As OpenAI and Llama Stack do: `tool_choice` without `tools` is an error, "none" included. */
function requireTools({ tools, tool_choice: choice }: RelayedChatRequest): void {
  if ((choice ?? undefined) === undefined || (tools ?? undefined) !== undefined) return
  throw invalidRequest("'tool_choice' is only allowed when 'tools' are specified. Add 'tools' or remove 'tool_choice'.", {
    param: 'tool_choice',
  })
}
