import { z } from 'zod'
import { assistantContent, developerContent, systemContent, toolContent, userContent } from './content-parts.ts'
import { optional } from './published.ts'
import { toolCalls } from './tools.ts'

/** The messages of a conversation, discriminated by `role`: a role that is not listed here is rejected. */

const name = optional(z.string().meta({ description: 'Distinguishes participants of the same role.' }))

const developerMessage = z
  .looseObject({ role: z.literal('developer'), content: developerContent, name })
  .meta({ id: 'ChatCompletionRequestDeveloperMessage', title: 'Developer message' })

const systemMessage = z
  .looseObject({ role: z.literal('system'), content: systemContent, name })
  .meta({ id: 'ChatCompletionRequestSystemMessage', title: 'System message' })

const userMessage = z
  .looseObject({ role: z.literal('user'), content: userContent, name })
  .meta({ id: 'ChatCompletionRequestUserMessage', title: 'User message' })

const assistantMessage = z
  .looseObject({
    role: z.literal('assistant'),
    content: assistantContent.nullish(),
    refusal: z.string().nullish(),
    name,
    audio: z.looseObject({ id: z.string().meta({ description: 'The id of a previous audio response.' }) }).nullish(),
    tool_calls: optional(toolCalls),
    function_call: z
      .looseObject({ arguments: z.string(), name: z.string() })
      .meta({ deprecated: true, description: 'Replaced by `tool_calls`.' })
      .nullish(),
  })
  .meta({ id: 'ChatCompletionRequestAssistantMessage', title: 'Assistant message' })

const toolMessage = z
  .looseObject({
    role: z.literal('tool'),
    content: toolContent,
    tool_call_id: z.string().meta({ description: 'The id of the tool call.' }),
  })
  .meta({ id: 'ChatCompletionRequestToolMessage', title: 'Tool message' })

const functionMessage = z
  .looseObject({ role: z.literal('function'), content: z.string().nullable(), name: z.string() })
  .meta({ id: 'ChatCompletionRequestFunctionMessage', title: 'Function message', deprecated: true })

export const chatMessage = z
  .discriminatedUnion('role', [developerMessage, systemMessage, userMessage, assistantMessage, toolMessage, functionMessage])
  .meta({ id: 'ChatCompletionRequestMessage', discriminator: { propertyName: 'role' } })
