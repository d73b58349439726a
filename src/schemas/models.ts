import { z } from 'zod'

export const modelType = z.enum(['llm', 'embedding', 'rerank'])

/** A model with OpenAI's keys and Llama Stack's side by side, so that clients of both read it. */
export const model = z
  .object({
    id: z.string().meta({ description: 'What requests name.' }),
    object: z.literal('model'),
    created: z.int().meta({ description: 'Unix seconds.' }),
    owned_by: z.string(),
    identifier: z.string().meta({ description: 'The same as `id`.' }),
    provider_id: z.string().meta({ description: 'The provider that serves it.' }),
    provider_resource_id: z.string().meta({ description: 'The provider’s own name for it.' }),
    type: z.literal('model'),
    model_type: modelType,
    metadata: z.record(z.string(), z.unknown()),
    custom_metadata: z.record(z.string(), z.unknown()),
  })
  // Published without a `type`.
  .meta({ id: 'Model', title: 'Model', type: undefined })
export type Model = z.output<typeof model>

export const modelList = z.object({ object: z.literal('list'), data: z.array(model) }).meta({ id: 'ListModelsResponse' })

export const modelDeleted = z.object({ id: z.string(), object: z.string(), deleted: z.boolean() }).meta({ id: 'DeleteModelResponse' })
