import { z } from 'zod'
import { documentedAs, list, oneOf, openEnum, optional, relayed, wholeNumber } from './published.ts'
import { modelId, modelIdAmong, user } from './sampling.ts'

// How many inputs fit in one request is the provider's to say: 2048 is OpenAI's number.
const array = { title: 'array', atLeast: 1, maxItems: 2048 }

const input = oneOf(
  [
    z
      .string()
      .meta({ title: 'string', default: '', example: 'This is a test.', description: 'The string that will be turned into an embedding.' }),
    list(z.string().meta({ default: '', example: "['This is a test.']" }), {
      ...array,
      description: 'The array of strings that will be turned into an embedding.',
    }),
    list(z.int(), {
      ...array,
      example: '[1212, 318, 257, 1332, 13]',
      description: 'The array of integers that will be turned into an embedding.',
    }),
    list(list(z.int(), { atLeast: 1 }), {
      ...array,
      example: '[[1212, 318, 257, 1332, 13]]',
      description: 'The array of arrays containing integers that will be turned into an embedding.',
    }),
  ],
  { description: 'One text, several texts, tokens, or several token lists.' },
)

/** `POST /v1/embeddings` as it is published. What is relayed is held to `relayedEmbeddingsRequest` alone. */
export const embeddingsRequest = z
  .looseObject({
    model: modelIdAmong(['text-embedding-ada-002', 'text-embedding-3-small', 'text-embedding-3-large']),
    input,
    encoding_format: optional(
      openEnum(['float', 'base64'], { default: 'float', description: '`base64`: little-endian 32-bit floats, a quarter of the size.' }),
    ),
    dimensions: optional(
      documentedAs(
        wholeNumber().min(1),
        wholeNumber({ minimum: 1, description: 'The length of the vectors, where the model can choose.' }),
      ),
    ),
    user,
  })
  .meta({ id: 'CreateEmbeddingRequest' })

/** For decisions only: the caller's own bytes go to the provider. */
export const relayedEmbeddingsRequest = relayed(embeddingsRequest, {
  model: modelId,
  // Some models embed images and documents, each as an object.
  input: z.union([z.string(), list(z.unknown(), { atLeast: 1 }), z.looseObject({})]).nullish(),
  /** vLLM embeds a conversation, which may hold images, in place of `input`. */
  messages: list(z.looseObject({}), { atLeast: 1 }).nullish(),
  encoding_format: optional(z.string()),
})
export type RelayedEmbeddingsRequest = z.output<typeof relayedEmbeddingsRequest>

const embedding = z
  .looseObject({
    index: z.int().meta({ description: 'The place of its input in the request.' }),
    object: z.literal('embedding'),
    embedding: oneOf(
      [z.array(z.number()), z.string().meta({ contentEncoding: 'base64', description: 'The vector as little-endian 32-bit floats.' })],
      { description: 'The vector; a base64 string where the request has `encoding_format: base64`.' },
    ),
  })
  .meta({ id: 'Embedding' })

export const embeddings = z
  .looseObject({
    object: z.literal('list'),
    model: z.string().meta({ description: 'The id that the request named.' }),
    data: z.array(embedding),
    usage: z.looseObject({ prompt_tokens: z.int(), total_tokens: z.int() }),
  })
  .meta({ id: 'CreateEmbeddingResponse' })
