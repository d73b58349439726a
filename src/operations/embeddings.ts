import { type RelayedEmbeddingsRequest, relayedEmbeddingsRequest } from '../schemas/embeddings.ts'
import { openaiFormat } from './openai/format.ts'
import { withoutText } from './openai/without-text.ts'
import type { Operation } from './operation.ts'
import type { JsonReply } from './reply.ts'

/** Inputs become vectors. */
export const embeddings: Operation<RelayedEmbeddingsRequest, JsonReply> = {
  name: 'embeddings',
  modelType: 'embedding',
  genAiName: 'embeddings',
  producesText: false,
  streams: false,
  request: relayedEmbeddingsRequest,
  format: withoutText(openaiFormat('openai.embeddings', '/embeddings')),
}
