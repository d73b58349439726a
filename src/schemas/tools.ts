import { z } from 'zod'
import { documentedAs, list, oneOf, openEnum, openUnion, optional } from './published.ts'

/** Tools as chat completions know them: what may be called, what must be, what was. */

const name = z.string().meta({ description: 'Letters, digits, underscores and dashes, at most 64.' })
const description = optional(z.string().meta({ description: 'What it does; the model decides by this when and how to call it.' }))

const functionParameters = z
  .record(z.string(), z.unknown())
  .meta({ id: 'FunctionParameters', description: 'The parameters as a JSON Schema object; absent: none.' })

const functionObject = z
  .looseObject({
    name,
    description,
    parameters: optional(functionParameters),
    strict: z.boolean().meta({ default: false, description: 'Enforce the schema of the arguments exactly.' }).nullish(),
  })
  .meta({ id: 'FunctionObject' })

const functionTool = z
  .looseObject({ type: z.literal('function'), function: functionObject })
  .meta({ id: 'ChatCompletionTool', title: 'Function tool' })

const textFormat = z.looseObject({ type: z.literal('text') }).meta({ title: 'Text format' })
const grammarFormat = z
  .looseObject({
    type: z.literal('grammar'),
    grammar: z
      .looseObject({
        definition: z.string().meta({ description: 'The grammar itself.' }),
        syntax: openEnum(['lark', 'regex'], { description: 'The language the grammar is written in.' }),
      })
      .meta({ title: 'Grammar format' }),
  })
  .meta({ title: 'Grammar format' })

const customTool = z
  .looseObject({
    type: z.literal('custom'),
    custom: z
      .looseObject({ name, description, format: optional(openUnion([textFormat, grammarFormat])) })
      .meta({ title: 'Custom tool properties' }),
  })
  .meta({ id: 'CustomToolChatCompletions', title: 'Custom tool' })

export const tool = openUnion([functionTool, customTool])

const named = z.looseObject({ name })

const allowedTools = z
  .looseObject({
    type: z.literal('allowed_tools'),
    allowed_tools: z
      .looseObject({
        mode: openEnum(['auto', 'required'], { description: '`auto`: may call one of these; `required`: must.' }),
        tools: z
          .array(z.looseObject({}))
          .meta({ description: 'The tools, each as `{type, function: {name}}` or `{type, custom: {name}}`.' }),
      })
      .meta({ id: 'ChatCompletionAllowedTools', title: 'Allowed tools' }),
  })
  .meta({ id: 'ChatCompletionAllowedToolsChoice', title: 'Allowed tools' })

const namedFunction = z
  .looseObject({ type: z.literal('function'), function: named })
  .meta({ id: 'ChatCompletionNamedToolChoice', title: 'Function tool choice' })

const namedCustom = z
  .looseObject({ type: z.literal('custom'), custom: named })
  .meta({ id: 'ChatCompletionNamedToolChoiceCustom', title: 'Custom tool choice' })

const choiceMode = openEnum(['none', 'auto', 'required'], { title: 'Tool choice mode' })
const choices = [allowedTools, namedFunction, namedCustom] as const

export const toolChoice = documentedAs(
  z.union([choiceMode, openUnion(choices)]),
  oneOf([choiceMode, ...choices], { id: 'ChatCompletionToolChoiceOption', description: 'Which tool is called, if any.' }),
)

/** Calls as a client sends them back: Llama Stack's clients leave out what they do not know. */
const calledFunction = {
  id: optional(z.string().meta({ description: 'The id that the tool message refers to.' })),
  type: optional(z.literal('function')),
  function: z
    .looseObject({
      name: optional(z.string()),
      arguments: optional(z.string().meta({ description: 'The arguments as JSON text, as the model wrote them.' })),
    })
    .meta({ required: ['name', 'arguments'] }),
}
const calledCustom = {
  id: calledFunction.id,
  type: z.literal('custom'),
  custom: z.looseObject({ name: z.string(), input: z.string().meta({ description: 'What the model hands the tool.' }) }),
}

const functionCall = z
  .looseObject(calledFunction)
  .meta({ id: 'ChatCompletionMessageToolCall', title: 'Function tool call', required: ['id', 'type', 'function'] })
const customCall = z
  .looseObject(calledCustom)
  .meta({ id: 'ChatCompletionMessageCustomToolCall', title: 'Custom tool call', required: ['id', 'type', 'custom'] })

export const toolCalls = list(openUnion([functionCall, customCall], { discriminator: true, fallback: 'function' }), {
  id: 'ChatCompletionMessageToolCalls',
  description: 'The calls the model made.',
})

/** The older form of a tool. */
export const legacyFunction = z
  .looseObject({ name, description, parameters: optional(functionParameters) })
  .meta({ id: 'ChatCompletionFunctions', deprecated: true })

export const legacyFunctionChoice = oneOf([openEnum(['none', 'auto']), named.meta({ id: 'ChatCompletionFunctionCallOption' })])
