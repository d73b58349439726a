import { z } from 'zod'
import { documentedAs, openEnum, optional } from './published.ts'
import { completionUsage, serviceTier } from './sampling.ts'
import { toolCalls } from './tools.ts'

/** A provider's response to a chat request. Read leniently: vendors add keys and leave out what they do not know. */

const finishReasons = ['stop', 'length', 'tool_calls', 'content_filter', 'function_call'] as const
const finishReason = openEnum(finishReasons, { description: 'Why the model stopped.' })

const bytes = z.array(z.int()).nullable().meta({ description: 'The token’s UTF-8 bytes.' })
const tokenLogprob = z
  .looseObject({
    token: z.string(),
    logprob: z.number(),
    bytes,
    top_logprobs: z.array(z.looseObject({ token: z.string(), logprob: z.number(), bytes })),
  })
  .meta({ id: 'ChatCompletionTokenLogprob' })

const logprobs = z.looseObject({ content: z.array(tokenLogprob).nullable(), refusal: z.array(tokenLogprob).nullable() })

/** In chunks OpenAI's document has no null here, and OpenAI sends it all the same. */
const chunkLogprobs = z.looseObject({
  content: documentedAs(z.array(tokenLogprob).nullable(), z.array(tokenLogprob)),
  refusal: documentedAs(z.array(tokenLogprob).nullable(), z.array(tokenLogprob)),
})

const annotation = z.looseObject({
  type: z.literal('url_citation'),
  url_citation: z.looseObject({ end_index: z.int(), start_index: z.int(), url: z.string(), title: z.string() }),
})

const message = z
  .looseObject({
    role: z.literal('assistant'),
    content: z.string().nullable().meta({ description: 'The text of the message.' }),
    refusal: z.string().nullable().meta({ description: 'The refusal message of the model.' }),
    tool_calls: optional(toolCalls),
    annotations: optional(z.array(annotation).meta({ description: 'Sources, where the model searched.' })),
    function_call: optional(z.looseObject({ arguments: z.string(), name: z.string() }).meta({ deprecated: true })),
    audio: z.looseObject({ id: z.string(), expires_at: z.int(), data: z.string(), transcript: z.string() }).nullish(),
  })
  .meta({ id: 'ChatCompletionResponseMessage' })

const frame = {
  id: z.string(),
  created: z.int().meta({ description: 'Unix seconds.' }),
  model: z.string().meta({ description: 'The id that the request named.' }),
  service_tier: serviceTier,
  system_fingerprint: optional(z.string().meta({ deprecated: true })),
}

export const chatCompletion = z
  .looseObject({
    ...frame,
    object: z.literal('chat.completion'),
    choices: z.array(z.looseObject({ finish_reason: finishReason, index: z.int(), message, logprobs: logprobs.nullable() })),
    usage: optional(completionUsage),
  })
  .meta({ id: 'CreateChatCompletionResponse' })

const toolCallChunk = z
  .looseObject({
    index: z.int(),
    id: optional(z.string()),
    type: optional(openEnum(['function'])),
    function: optional(z.looseObject({ name: optional(z.string()), arguments: optional(z.string()) })),
  })
  .meta({ id: 'ChatCompletionMessageToolCallChunk' })

const delta = z
  .looseObject({
    role: optional(openEnum(['developer', 'system', 'user', 'assistant', 'tool'])),
    content: z.string().nullish(),
    refusal: z.string().nullish(),
    tool_calls: optional(z.array(toolCallChunk)),
    function_call: optional(z.looseObject({ arguments: optional(z.string()), name: optional(z.string()) }).meta({ deprecated: true })),
  })
  .meta({ id: 'ChatCompletionStreamResponseDelta' })

export const chatCompletionChunk = z
  .looseObject({
    ...frame,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(
      z.looseObject({
        delta,
        finish_reason: documentedAs(finishReason.nullable(), finishReason),
        index: z.int(),
        logprobs: optional(chunkLogprobs),
      }),
    ),
    usage: optional(completionUsage),
  })
  .meta({ id: 'CreateChatCompletionStreamResponse' })
