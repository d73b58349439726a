import { type RelayedEmbeddingsRequest, relayedEmbeddingsRequest } from '../schemas/embeddings.ts'
import { openaiFormat } from './openai/format.ts'
import { withoutText } from './openai/without-text.ts'
import type { Operation } from './operation.ts'

/** Inputs become vectors. */
export const embeddings: Operation<RelayedEmbeddingsRequest> = {
  name: 'embeddings',
  modelType: 'embedding',
  genAiName: 'embeddings',
  producesText: false,
  streams: false,
  request: relayedEmbeddingsRequest,
  format: withoutText(openaiFormat('openai.embeddings', '/embeddings')),
}
