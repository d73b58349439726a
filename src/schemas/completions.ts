import { z } from 'zod'

export const completionRequest = z.looseObject({
  model: z.string(),
  prompt: z.unknown(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
})
export type CompletionRequest = z.output<typeof completionRequest>
export const completion = z.looseObject({ id: z.string() })
