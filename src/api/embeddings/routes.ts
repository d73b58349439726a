import { invalidRequest } from '../../errors.ts'
import { embeddings, relayedEmbeddingsRequest } from '../../schemas/embeddings.ts'
import { operations } from '../../operations/index.ts'
import { defineRoute, relayedSmallFields } from '../define.ts'
import { toResponse } from '../reply.ts'

export const createEmbedding = defineRoute({
  method: 'POST',
  path: '/v1/embeddings',
  api: 'inference',
  operationId: 'createEmbedding',
  tag: 'Embeddings',
  summary: 'Create embeddings',
  description: 'Creates embedding vectors for the inputs.',
  operation: operations.embeddings,
  body: relayedEmbeddingsRequest,
  smallFields: relayedSmallFields,
  responses: {
    200: { description: 'The vectors, in the order of the inputs. With `encoding_format: base64` each is a string.', json: embeddings },
  },
  async handle({ body, bytes, members, call, dialect }, { models, checkImageUrls }) {
    if ((body.input ?? body.messages ?? undefined) === undefined) {
      throw invalidRequest("Missing required parameter: 'input'.", { code: 'missing_required_parameter', param: 'input' })
    }
    checkImageUrls(body.messages)
    const { invoke, model, catalogueId } = await models.resolve(body.model, 'embeddings', call)
    return toResponse(invoke({ model, catalogueId, requestedModel: body.model, body, bytes, members }, call), call, {
      stream: false,
      dialect,
    })
  },
})
