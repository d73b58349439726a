import type { WireFormat } from '../wire-format.ts'
import { openaiGovernedFields } from './fields.ts'
import { inputSize } from './input-size.ts'
import { frameMessages, replyMessages, requestMessages } from './messages.ts'
import { outputLimit } from './output-limit.ts'
import { frameText, replyFacts, replyText } from './reply.ts'
import { requestParameters } from './request-parameters.ts'

/** OpenAI spells chats, completions and embeddings alike: what differs is the path, and which fields are there. */
export function openaiFormat(name: string, upstreamPath: string): WireFormat {
  return {
    name,
    upstreamPath,
    governedFields: openaiGovernedFields,
    inputSize,
    outputLimit,
    outputLimitField: 'max_tokens',
    requestParameters,
    replyFacts,
    replyText,
    frameText,
    requestMessages,
    replyMessages,
    frameMessages,
  }
}
