import { type RelayedCompletionRequest, relayedCompletionRequest } from '../schemas/completions.ts'
import { openaiFormat } from './openai/format.ts'
import type { Operation } from './operation.ts'
import type { Reply } from './reply.ts'

/** A text is continued. */
export const completions: Operation<RelayedCompletionRequest, Reply> = {
  name: 'completions',
  modelType: 'llm',
  genAiName: 'text_completion',
  producesText: true,
  streams: true,
  request: relayedCompletionRequest,
  format: openaiFormat('openai.completions', '/completions'),
}
