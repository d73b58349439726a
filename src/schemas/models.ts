import { z } from 'zod'

export const modelType = z.enum(['llm', 'embedding', 'rerank'])

/** A model with OpenAI's keys and Llama Stack's side by side, so that clients of both read it. */
export const model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  identifier: z.string(),
  provider_id: z.string(),
  provider_resource_id: z.string(),
  type: z.literal('model'),
  model_type: modelType,
  metadata: z.record(z.string(), z.unknown()),
  custom_metadata: z.record(z.string(), z.unknown()),
})
export type Model = z.output<typeof model>

export const modelList = z.object({ object: z.literal('list'), data: z.array(model) })
