import type { ChatHistoryItem, ChatModelFunctions, GbnfJsonSchema } from 'node-llama-cpp'
import { type ChatCompletionRequest, invalidRequest } from '../../../child-contract.ts'
import { unsupported } from './error-body.ts'
import { addText, toHistory } from './history.ts'
import { anyObject, toGrammarSchema } from './json-schema.ts'

/** A chat request, understood: what does not depend on the model. */
export interface ChatPlan {
  history: ChatHistoryItem[]
  functions: ChatModelFunctions | undefined
  parallelCalls: boolean
  /** The reply is JSON of this shape. */
  shape: GbnfJsonSchema | undefined
  /** The shape is that of a call: `{name, arguments}`. */
  forcedCall: boolean
  maxTokens: number | undefined
  stop: readonly string[]
  choices: number
  thinking: boolean
  /** Tokens. */
  maxThinkingTokens: number
}

const maxChoices = 16

/** Throws ApiError 400 naming the field. */
export function planChat(body: ChatCompletionRequest): ChatPlan {
  refuseUnsupported(body)
  const functions = toFunctions(body)
  const { tool_choice: choice } = body
  const offered = choice === 'none' ? undefined : functions
  const forced = forcedFunctions(functions, choice)
  const history = toHistory(body.messages)
  const format = body.response_format as ResponseFormat | null | undefined
  let shape: GbnfJsonSchema | undefined
  if (forced) {
    shape = callShape(forced)
    instruct(history, callInstruction(forced))
  } else if (format && format.type !== 'text') {
    if (offered) {
      throw invalidRequest('The embedded model supports either tools or response_format, not both.', { param: 'response_format' })
    }
    shape = formatShape(format)
    if (format.type === 'json_schema')
      instruct(history, `Answer with JSON that fits this schema: ${JSON.stringify(format.json_schema?.schema)}`)
    else instruct(history, 'Answer with a JSON object.')
  }
  return {
    history,
    functions: forced ? undefined : offered,
    parallelCalls: body.parallel_tool_calls !== false,
    shape,
    forcedCall: forced !== undefined,
    maxTokens: maxTokensOf(body),
    stop: typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []).filter((text) => text !== ''),
    choices: choiceCount(body.n),
    ...thinkingOf(body.reasoning_effort, shape !== undefined),
  }
}

interface ResponseFormat {
  type: string
  json_schema?: { schema?: unknown; strict?: boolean | null }
}

function refuseUnsupported(body: ChatCompletionRequest): void {
  if (body.logprobs) throw unsupported('logprobs', 'log probabilities')
  if (body.functions) throw unsupported('functions', 'the old functions field; use tools')
  if (body.function_call) throw unsupported('function_call', 'the old function_call field; use tool_choice')
  if (body.web_search_options) throw unsupported('web_search_options', 'web search')
  if (body.audio || body.modalities?.includes('audio')) throw unsupported('modalities', 'audio output')
}

function maxTokensOf(body: ChatCompletionRequest): number | undefined {
  const given = body.max_completion_tokens ?? body.max_tokens
  if (given === undefined || given === null) return undefined
  if (given < 1)
    throw invalidRequest('At least one token must be allowed.', {
      param: body.max_completion_tokens == null ? 'max_tokens' : 'max_completion_tokens',
    })
  return given
}

function choiceCount(n: unknown): number {
  if (n === undefined || n === null) return 1
  if (typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= maxChoices) return n
  throw invalidRequest(`n must be an integer from 1 to ${maxChoices}.`, { param: 'n' })
}

/** A small model that thinks by default would make a newcomer wait and use up `max_tokens` before the first word: thinking must be requested. */
function thinkingOf(effort: unknown, shaped: boolean): { thinking: boolean; maxThinkingTokens: number } {
  const budgets: Readonly<Record<string, number>> = { low: 512, medium: 2048, high: Infinity, xhigh: Infinity }
  const maxThinkingTokens = shaped || typeof effort !== 'string' ? 0 : (budgets[effort] ?? 0)
  return { thinking: maxThinkingTokens > 0, maxThinkingTokens }
}

function toFunctions({ tools }: ChatCompletionRequest): ChatModelFunctions | undefined {
  if (!tools || tools.length === 0) return undefined
  const entries = (tools as ChatTool[]).map(({ type, function: called }, at): [string, ChatModelFunctions[string]] => {
    if (type !== 'function' || !called) {
      throw invalidRequest(`The embedded model supports only tools of type 'function', not '${type}'.`, { param: `tools[${at}].type` })
    }
    if (!/^[\w-]{1,64}$/.test(called.name)) {
      throw invalidRequest('A function name must have 1 to 64 letters, digits, underscores and dashes.', {
        param: `tools[${at}].function.name`,
      })
    }
    const { parameters } = called
    const hasParameters = parameters && Object.keys((parameters['properties'] as object | undefined) ?? parameters).length > 0
    const param = `tools[${at}].function.parameters`
    return [
      called.name,
      {
        ...(called.description != null && { description: called.description }),
        ...(hasParameters && { params: toGrammarSchema({ type: 'object', ...parameters }, { param, strict: called.strict === true }) }),
      },
    ]
  })
  return Object.fromEntries(entries)
}

interface ChatTool {
  type: string
  function?: { name: string; description?: string | null; parameters?: Record<string, unknown> | null; strict?: boolean | null }
}

/** The functions of which one must be called, or undefined. */
function forcedFunctions(functions: ChatModelFunctions | undefined, choice: unknown): ChatModelFunctions | undefined {
  if (choice === undefined || choice === null || choice === 'auto' || choice === 'none') return undefined
  if (!functions) throw invalidRequest('tool_choice needs tools.', { param: 'tool_choice' })
  if (choice === 'required') return functions
  const { type, function: named } = choice as { type?: string; function?: { name?: string } }
  if (type !== 'function' || named?.name === undefined) {
    throw invalidRequest("tool_choice must be 'none', 'auto', 'required' or name a function.", { param: 'tool_choice' })
  }
  const definition = functions[named.name]
  if (!definition) throw invalidRequest(`tool_choice names '${named.name}', which is not among the tools.`, { param: 'tool_choice' })
  return { [named.name]: definition }
}

function callShape(functions: ChatModelFunctions): GbnfJsonSchema {
  const shapes = Object.entries(functions).map(([name, { params }]) => ({
    type: 'object' as const,
    properties: { name: { const: name }, arguments: (params ?? { type: 'object', properties: {} }) as GbnfJsonSchema },
  }))
  return shapes.length === 1 ? shapes[0]! : { oneOf: shapes }
}

function callInstruction(functions: ChatModelFunctions): string {
  const list = Object.entries(functions).map(([name, { description, params }]) => JSON.stringify({ name, description, parameters: params }))
  return `Call one of these functions, by answering with {"name": …, "arguments": …} and nothing else:\n${list.join('\n')}`
}

function formatShape(format: ResponseFormat): GbnfJsonSchema {
  if (format.type === 'json_object') return anyObject
  if (format.type !== 'json_schema') throw invalidRequest(`Unknown response_format '${format.type}'.`, { param: 'response_format.type' })
  return toGrammarSchema(format.json_schema?.schema ?? true, {
    param: 'response_format.json_schema.schema',
    strict: format.json_schema?.strict === true,
  })
}

function instruct(history: ChatHistoryItem[], text: string): void {
  if (history[0]?.type !== 'system') history.unshift({ type: 'system', text })
  else addText(history, 'system', text, 0)
}
