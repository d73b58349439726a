import { z } from 'zod'

export const embeddingsRequest = z.looseObject({ model: z.string(), input: z.unknown() })
export type EmbeddingsRequest = z.output<typeof embeddingsRequest>
export const embeddings = z.looseObject({ object: z.literal('list') })
