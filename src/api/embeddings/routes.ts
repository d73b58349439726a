import { invalidRequest } from '../../errors.ts'
import { execute } from '../../inference/execute.ts'
import { toResponse } from '../../inference/response.ts'
import { embeddings } from '../../operations/embeddings.ts'
import { embeddings as embeddingList } from '../../schemas/embeddings.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'

export const createEmbedding = defineRoute({
  method: 'POST',
  path: '/v1/embeddings',
  api: 'inference',
  operationId: 'createEmbedding',
  tag: 'Embeddings',
  summary: 'Create embeddings',
  description: 'Creates embedding vectors for the inputs.',
  operation: embeddings,
  body: embeddings.request,
  smallFields: relayedSmallFields,
  responses: {
    200: { description: 'The vectors, in the order of the inputs. With `encoding_format: base64` each is a string.', json: embeddingList },
  },
  handle({ body, bytes, members, call, dialect }, { inference, checkImageUrls }) {
    if ((body.input ?? body.messages ?? undefined) === undefined) {
      throw invalidRequest("Missing required parameter: 'input'.", { code: 'missing_required_parameter', param: 'input' })
    }
    checkImageUrls(body.messages)
    return toResponse(execute(embeddings, { model: body.model, body, bytes, members }, call, inference), call, { stream: false, dialect })
  },
})
