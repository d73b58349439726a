import { z } from 'zod'

export const chatCompletionRequest = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string() })).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
})
export type ChatCompletionRequest = z.output<typeof chatCompletionRequest>

export const chatCompletion = z.looseObject({ id: z.string() })
export const chatCompletionChunk = z.looseObject({ id: z.string() })
