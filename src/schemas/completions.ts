import { z } from 'zod'
import { documentedAs, list, oneOf, openEnum, optional, quietNull, relayed, wholeNumber } from './published.ts'
import {
  choiceCount,
  completionUsage,
  logitBias,
  modelId,
  modelIdAmong,
  penalty,
  readLimits,
  seed,
  stop,
  stream,
  streamOptions,
  temperature,
  topP,
  user,
} from './sampling.ts'

const text = z.string().meta({ default: '', example: 'This is a test.' })

const prompt = z
  .nullable(
    oneOf([
      text,
      list(text),
      list(z.int(), { atLeast: 1, example: '[1212, 318, 257, 1332, 13]' }),
      list(list(z.int(), { atLeast: 1 }), { atLeast: 1, example: '[[1212, 318, 257, 1332, 13]]' }),
    ]),
  )
  .meta({
    [quietNull]: true,
    default: '<|endoftext|>',
    description: 'What to continue: text, several texts, tokens, or several token lists.',
  })

/** `POST /v1/completions` as it is published. What is relayed is held to `relayedCompletionRequest` alone. */
export const completionRequest = z
  .looseObject({
    model: modelIdAmong(['gpt-3.5-turbo-instruct', 'davinci-002', 'babbage-002']),
    prompt,
    stream: optional(stream),
    stream_options: streamOptions,
    max_tokens: optional(wholeNumber({ minimum: 0, default: 16, description: 'The maximum number of tokens to generate.' })),
    temperature: optional(temperature),
    top_p: optional(topP),
    n: optional(choiceCount),
    best_of: optional(wholeNumber({ minimum: 0, maximum: 20, default: 1, description: 'Make this many, return the likeliest.' })),
    stop: optional(stop),
    seed: optional(seed.meta({ type: 'integer', format: 'int64' })),
    suffix: optional(z.string().meta({ description: 'What comes after the text to be filled in.' })),
    echo: optional(z.boolean().meta({ default: false, description: 'Return the prompt too.' })),
    logprobs: optional(wholeNumber({ minimum: 0, maximum: 5, description: 'How many likely tokens to return at each place.' })),
    logit_bias: optional(logitBias),
    frequency_penalty: optional(penalty),
    presence_penalty: optional(penalty),
    user,
  })
  .meta({ id: 'CreateCompletionRequest' })
export type CompletionRequest = z.output<typeof completionRequest>

/** For decisions only: the caller's own bytes go to the provider. */
export const relayedCompletionRequest = relayed(completionRequest, {
  ...readLimits,
  model: modelId,
  // Some servers take objects, and tokens among texts.
  prompt: z.union([z.string(), z.array(z.unknown()), z.looseObject({})]).nullable(),
  best_of: optional(wholeNumber()),
})
export type RelayedCompletionRequest = z.output<typeof relayedCompletionRequest>

const logprobs = z.looseObject({
  text_offset: optional(z.array(z.int())),
  token_logprobs: optional(z.array(z.number())),
  tokens: optional(z.array(z.string())),
  top_logprobs: optional(z.array(z.record(z.string(), z.number()))),
})

const finishReason = openEnum(['stop', 'length', 'content_filter'], { description: 'Why the model stopped.' })

/** The response, and each chunk of a streamed one, whose `finish_reason` is null until the end. */
export const completion = z
  .looseObject({
    id: z.string(),
    object: z.literal('text_completion'),
    created: z.int().meta({ description: 'Unix seconds.' }),
    model: z.string().meta({ description: 'The id that the request named.' }),
    choices: z.array(
      z.looseObject({
        finish_reason: documentedAs(finishReason.nullable(), finishReason),
        index: z.int(),
        logprobs: logprobs.nullable(),
        text: z.string(),
      }),
    ),
    system_fingerprint: optional(z.string()),
    usage: optional(completionUsage),
  })
  .meta({ id: 'CreateCompletionResponse' })
