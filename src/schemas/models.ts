import { z } from 'zod'

export const modelType = z.enum(['llm', 'embedding', 'rerank'])
export type ModelType = z.output<typeof modelType>

/** A model with OpenAI's keys and Llama Stack's side by side, so that clients of both read it. */
export const model = z
  .object({
    id: z.string().meta({ description: 'The model name for requests.' }),
    object: z.literal('model'),
    created: z.int().meta({ description: 'Unix seconds.' }),
    owned_by: z.string(),
    identifier: z.string().meta({ description: 'The same as `id`.' }),
    provider_id: z.string().meta({ description: 'The provider that serves it.' }),
    provider_resource_id: z.string().meta({ description: 'The provider’s id of the model.' }),
    type: z.literal('model'),
    model_type: modelType,
    metadata: z.record(z.string(), z.unknown()),
    custom_metadata: z.record(z.string(), z.unknown()),
  })
  // Published without a `type`.
  .meta({ id: 'Model', title: 'Model', type: undefined })
export type Model = z.output<typeof model>

export const modelList = z.object({ object: z.literal('list'), data: z.array(model) }).meta({ id: 'ListModelsResponse' })

/** What `regex` below checks, for the document: with neither `\p{…}` nor look-behind, so that Python's `re` and Go's RE2 compile it. */
const portablePattern = '^[^\\s\\x00-\\x1f\\x7f-\\x9f](?:[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f])?$'

const optionalText = (max: number) => z.string().min(1).max(max).nullish()

/** Llama Stack's. Loose, as every client's body is. */
export const registerModelRequest = z
  .looseObject({
    model_id: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^\s\p{Cc}\p{Cs}][^\p{Cc}\p{Cs}]*(?<!\s)$/u, 'must not contain control characters or start or end with whitespace')
      .meta({ description: 'The model name for requests.', pattern: portablePattern }),
    provider_model_id: optionalText(512).meta({ description: 'The provider’s id of the model. Default: `model_id`.' }),
    provider_id: optionalText(256).meta({ description: 'The provider that serves it. Default: the only inference provider.' }),
    metadata: z
      .record(z.string(), z.unknown())
      .nullish()
      .meta({ description: 'Custom metadata; `embedding_dimension` is required for embedding models.' }),
    model_type: modelType.nullish(),
  })
  .meta({ id: 'RegisterModelRequest' })
export type RegisterModelRequest = z.output<typeof registerModelRequest>

export const modelDeleted = z.object({ id: z.string(), object: z.string(), deleted: z.boolean() }).meta({ id: 'DeleteModelResponse' })
