import { z } from 'zod'
import { documentedAs, list, mapOf, oneOf, openEnum, optional, wholeNumber } from './published.ts'

/** Fields that chat and text completions share. Bounds are published ones; a provider may allow more, so it is the one to refuse. */

export const penalty = z.number().meta({ minimum: -2, maximum: 2, default: 0 })
export const temperature = z
  .number()
  .meta({ minimum: 0, maximum: 2, default: 1, description: 'How freely the model picks: 0 is nearly fixed, higher is more varied.' })
export const topP = z
  .number()
  .meta({ minimum: 0, maximum: 1, default: 1, description: 'Pick only among the likeliest tokens that together have this probability.' })

/** The one bound that holds everywhere. */
export const choiceCount = documentedAs(
  wholeNumber().min(1),
  wholeNumber({ minimum: 1, maximum: 128, default: 1, description: 'How many choices to generate.' }),
)

export const logitBias = mapOf(z.number().meta({ type: 'integer' }), {
  description: 'Token id → −100 … 100, added to its logit before sampling.',
})

export const seed = wholeNumber({
  description: 'Requests with the same seed and parameters return the same result where the provider supports it.',
})

export const stop = oneOf([z.string(), list(z.string().meta({ example: '["\\n"]' }), { minItems: 1, maxItems: 4 })], {
  id: 'StopConfiguration',
  description: 'Where to stop: the text that follows is not generated, the sequence itself not returned.',
})

export const stream = z.boolean().meta({ default: false, description: 'Stream the response as server-sent events.' })

export const streamOptions = z
  .looseObject({
    include_usage: optional(z.boolean().meta({ description: 'Send one more chunk at the end with the token counts.' })),
    include_obfuscation: optional(z.boolean().meta({ description: 'Pad the chunks so that their lengths reveal nothing.' })),
  })
  .nullish()
  .meta({ id: 'ChatCompletionStreamOptions', description: 'Only with `stream: true`.' })

export const metadata = mapOf(z.string())
  .nullish()
  .meta({ id: 'Metadata', description: 'Up to 16 key-value pairs, kept with a stored completion.' })

export const serviceTier = openEnum(['auto', 'default', 'flex', 'scale', 'priority'], { default: 'auto' })
  .nullish()
  .meta({ id: 'ServiceTier', description: 'The class of service at the provider.' })

export const user = optional(z.string().meta({ description: 'A stable name of the end user, for the provider’s abuse detection.' }))

/** Fields that decide the cost of a response, as Corral reads them: a wrong type must not get around a limit. */
export const readLimits = {
  stream: optional(stream),
  stream_options: z.looseObject({ include_usage: optional(z.boolean()) }).nullish(),
  max_tokens: optional(wholeNumber()),
  n: optional(choiceCount),
}

export const modelId = z.string().min(1).meta({ description: 'The id of a model that `GET /v1/models` lists.' })

/** A model id, documented with the names that OpenAI publishes beside it. */
export function modelIdAmong(names: readonly [string, ...string[]]) {
  return documentedAs(
    z.string().min(1),
    z
      .union([z.string().min(1), z.enum(names)])
      .meta({ description: 'The id of a model that `GET /v1/models` lists, or an OpenAI name that one has.' }),
  )
}

export const completionUsage = z
  .looseObject({
    prompt_tokens: z.int().meta({ default: 0 }),
    completion_tokens: z.int().meta({ default: 0 }),
    total_tokens: z.int().meta({ default: 0 }),
    completion_tokens_details: optional(
      z.looseObject({
        accepted_prediction_tokens: optional(z.int().meta({ default: 0 })),
        audio_tokens: optional(z.int().meta({ default: 0 })),
        reasoning_tokens: optional(z.int().meta({ default: 0 })),
        rejected_prediction_tokens: optional(z.int().meta({ default: 0 })),
      }),
    ),
    prompt_tokens_details: optional(
      z.looseObject({ audio_tokens: optional(z.int().meta({ default: 0 })), cached_tokens: optional(z.int().meta({ default: 0 })) }),
    ),
  })
  .meta({ id: 'CompletionUsage', description: 'Tokens, as the provider counted them.' })
