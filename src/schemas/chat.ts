import { z } from 'zod'
import { predictedContent } from './content-parts.ts'
import { chatMessage } from './messages.ts'
import { list, oneOf, openEnum, openUnion, optional, relayed, wholeNumber } from './published.ts'
import {
  choiceCount,
  logitBias,
  metadata,
  modelId,
  penalty,
  readLimits,
  seed,
  serviceTier,
  stop,
  stream,
  streamOptions,
  temperature,
  topP,
  user,
} from './sampling.ts'
import { legacyFunction, legacyFunctionChoice, tool, toolChoice } from './tools.ts'

const jsonSchemaFormat = z
  .looseObject({
    type: z.literal('json_schema'),
    json_schema: z
      .looseObject({
        name: z.string().meta({ description: 'Letters, digits, underscores and dashes, at most 64.' }),
        description: optional(z.string().meta({ description: 'The purpose of the response.' })),
        schema: optional(
          z
            .record(z.string(), z.unknown())
            .meta({ id: 'ResponseFormatJsonSchemaSchema', title: 'JSON schema', description: 'The schema.' }),
        ),
        strict: z.boolean().meta({ default: false, description: 'Enforce the schema exactly.' }).nullish(),
      })
      .meta({ title: 'JSON schema' }),
  })
  .meta({ id: 'ResponseFormatJsonSchema', title: 'JSON schema' })

const responseFormat = openUnion(
  [
    z.looseObject({ type: z.literal('text') }).meta({ id: 'ResponseFormatText', title: 'Text' }),
    jsonSchemaFormat,
    z.looseObject({ type: z.literal('json_object') }).meta({ id: 'ResponseFormatJsonObject', title: 'JSON object' }),
  ],
  { discriminator: true },
)

const prediction = z.looseObject({ type: openEnum(['content']), content: predictedContent }).meta({
  id: 'PredictionContent',
  title: 'Static Content',
  description: 'Text that the response will largely repeat, to reduce latency.',
})

const webSearchOptions = z
  .looseObject({
    user_location: optional(
      z.looseObject({
        type: openEnum(['approximate']),
        approximate: z
          .looseObject({
            country: optional(z.string().meta({ description: 'Two letters, ISO 3166-1.' })),
            region: optional(z.string()),
            city: optional(z.string()),
            timezone: optional(z.string().meta({ description: 'IANA name.' })),
          })
          .meta({ id: 'WebSearchLocation', title: 'Web search location' }),
      }),
    ),
    search_context_size: optional(
      openEnum(['low', 'medium', 'high'], {
        id: 'WebSearchContextSize',
        default: 'medium',
        description: 'How much of the pages found is read.',
      }),
    ),
  })
  .meta({ title: 'Web search' })

const voice = z
  .union([
    z
      .union([z.string(), openEnum(['alloy', 'ash', 'ballad', 'coral', 'echo', 'sage', 'shimmer', 'verse', 'marin', 'cedar'])])
      .meta({ id: 'VoiceIdsShared' }),
    z.looseObject({ id: z.string() }),
  ])
  .meta({ id: 'VoiceIdsOrCustomVoice', title: 'Voice' })

const audio = z
  .looseObject({ voice, format: openEnum(['wav', 'aac', 'mp3', 'flac', 'opus', 'pcm16']) })
  .meta({ description: 'Audio output parameters; only with `modalities` that include `audio`.' })

/** `POST /v1/chat/completions` as it is published. What is relayed is held to `relayedChatRequest` alone. */
export const chatCompletionRequest = z
  .looseObject({
    model: modelId,
    messages: list(chatMessage, { atLeast: 1, description: 'The conversation so far.' }),
    stream: optional(stream),
    stream_options: streamOptions,
    tools: optional(list(tool, { description: 'What the model may call.' })),
    tool_choice: optional(toolChoice),
    parallel_tool_calls: optional(
      z.boolean().meta({ id: 'ParallelToolCalls', default: true, description: 'Whether several tools may be called at once.' }),
    ),
    response_format: optional(responseFormat),
    max_completion_tokens: optional(wholeNumber({ description: 'The maximum number of tokens to generate, including reasoning.' })),
    max_tokens: optional(
      wholeNumber({ deprecated: true, description: 'The older name of `max_completion_tokens`, which most providers know.' }),
    ),
    temperature: temperature.nullish(),
    top_p: topP.nullish(),
    n: optional(choiceCount),
    stop: optional(stop),
    seed: optional(seed.meta({ type: 'integer', deprecated: true })),
    frequency_penalty: optional(penalty),
    presence_penalty: optional(penalty),
    logit_bias: optional(logitBias),
    logprobs: optional(z.boolean().meta({ default: false, description: 'Return the log probabilities of the tokens chosen.' })),
    top_logprobs: optional(wholeNumber({ minimum: 0, maximum: 20, description: 'How many likely tokens to return at each place.' })),
    reasoning_effort: openEnum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh'], { default: 'medium' })
      .nullish()
      .meta({ id: 'ReasoningEffort', description: 'How much the model reasons before it responds.' }),
    verbosity: openEnum(['low', 'medium', 'high'], { default: 'medium' })
      .nullish()
      .meta({ id: 'Verbosity', description: 'How long the response is.' }),
    modalities: list(openEnum(['text', 'audio']))
      .nullish()
      .meta({ id: 'ResponseModalities', description: 'The output types to generate.' }),
    audio: optional(audio),
    prediction: optional(oneOf([prediction])),
    web_search_options: optional(webSearchOptions),
    store: optional(z.boolean().meta({ default: false, description: 'Store the completion at the provider.' })),
    metadata,
    service_tier: serviceTier,
    prompt_cache_key: optional(z.string().meta({ description: 'Requests with the same key are likelier to hit the provider’s cache.' })),
    prompt_cache_retention: openEnum(['in-memory', '24h']).nullish(),
    safety_identifier: optional(z.string().meta({ maxLength: 64, description: 'A stable, anonymous name of the end user.' })),
    user,
    function_call: optional(legacyFunctionChoice.meta({ deprecated: true })),
    functions: optional(list(legacyFunction, { minItems: 1, maxItems: 128, deprecated: true })),
  })
  .meta({ id: 'CreateChatCompletionRequest' })
export type ChatCompletionRequest = z.output<typeof chatCompletionRequest>

/** For decisions only: the caller's own bytes go to the provider. */
export const relayedChatRequest = relayed(chatCompletionRequest, {
  ...readLimits,
  model: modelId,
  messages: list(z.looseObject({ role: z.string() }), { atLeast: 1 }),
  tools: z.array(z.unknown()).nullish(),
  functions: z.array(z.unknown()).nullish(),
  max_completion_tokens: optional(wholeNumber()),
})
export type RelayedChatRequest = z.output<typeof relayedChatRequest>

export { chatCompletion, chatCompletionChunk } from './chat-reply.ts'
