import { type RelayedChatRequest, relayedChatRequest } from '../schemas/chat.ts'
import { openaiFormat } from './openai/format.ts'
import type { Operation } from './operation.ts'

/** A conversation is continued by one message. */
export const chat: Operation<RelayedChatRequest> = {
  name: 'chat',
  modelType: 'llm',
  genAiName: 'chat',
  producesText: true,
  streams: true,
  request: relayedChatRequest,
  format: openaiFormat('openai.chat', '/chat/completions'),
}
