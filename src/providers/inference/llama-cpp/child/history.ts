import type { ChatHistoryItem, ChatModelFunctionCall, ChatModelResponse } from 'node-llama-cpp'
import { type ChatCompletionRequest, invalidRequest } from '../../../child-contract.ts'

type Message = ChatCompletionRequest['messages'][number]

/** OpenAI's messages as the model's chat template takes them: turns of the model with their calls and results inside. Throws ApiError 400. */
export function toHistory(messages: readonly Message[]): ChatHistoryItem[] {
  const history: ChatHistoryItem[] = []
  const open = new Map<string, { call: ChatModelFunctionCall; param: string }>()
  for (const [at, message] of messages.entries()) {
    const param = `messages[${at}]`
    const { role } = message as { role: string }
    if (role !== 'tool') requireToolResults(open)
    if (role === 'system' || role === 'developer') addText(history, 'system', textOf(message, param))
    else if (role === 'user') addText(history, 'user', textOf(message, param))
    else if (role === 'assistant') addAssistantTurn(history, message, { param, open })
    else if (role === 'tool') addResult(message, { param, open })
    else throw invalidRequest(`The embedded model does not support messages of role '${role}'.`, { param: `${param}.role` })
  }
  requireToolResults(open)
  return history
}

interface MessageContext {
  param: string
  open: Map<string, { call: ChatModelFunctionCall; param: string }>
}

function requireToolResults(open: MessageContext['open']): void {
  for (const [id, { param }] of open)
    throw invalidRequest(`The tool call '${id}' has no result: a message of role 'tool' must follow.`, { param })
}

/** Two messages of one role in a row are one turn: templates know no other. */
export function addText(history: ChatHistoryItem[], type: 'system' | 'user', text: string, at = -1): void {
  const turn = history.at(at)
  if (turn?.type === type) turn.text = typeof turn.text === 'string' ? `${turn.text}\n\n${text}` : text
  else history.push({ type, text })
}

function addAssistantTurn(history: ChatHistoryItem[], message: Message, { param, open }: MessageContext): void {
  const turn = lastModelTurn(history)
  const text = textOf(message, param)
  if (text !== '') turn.response.push(text)
  const { tool_calls: calls } = message as { tool_calls?: readonly HistoryToolCall[] | null }
  for (const [at, { id, type, function: called }] of (calls ?? []).entries()) {
    const path = `${param}.tool_calls[${at}]`
    if (type !== 'function' || !called)
      throw invalidRequest(`The embedded model supports only function calls, not '${type}'.`, { param: path })
    const call: ChatModelFunctionCall = {
      type: 'functionCall',
      name: called.name,
      params: parsed(called.arguments),
      result: undefined,
      startsNewChunk: at === 0,
    }
    turn.response.push(call)
    open.set(id, { call, param: path })
  }
}

interface HistoryToolCall {
  id: string
  type: string
  function?: { name: string; arguments: string }
}

function lastModelTurn(history: ChatHistoryItem[]): ChatModelResponse {
  const last = history.at(-1)
  if (last?.type === 'model') return last
  const turn: ChatModelResponse = { type: 'model', response: [] }
  history.push(turn)
  return turn
}

function addResult(message: Message, { param, open }: MessageContext): void {
  const { tool_call_id: id } = message as { tool_call_id: string }
  const entry = open.get(id)
  if (!entry) throw invalidRequest(`The preceding message has no tool call with the id '${id}'.`, { param: `${param}.tool_call_id` })
  entry.call.result = parsed(textOf(message, param))
  open.delete(id)
}

/** Arguments and results are JSON more often than not, and templates print them as such. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return text
    throw error
  }
}

/** The text of a message's content. Parts that are not text are rejected by name. */
function textOf(message: Message, param: string): string {
  const { content } = message as { content?: unknown }
  if (content === undefined || content === null) return ''
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw invalidRequest('content must be a string or a list of parts.', { param: `${param}.content` })
  return content
    .map((part: { type: string; text?: string; refusal?: string }, at) => {
      const text = part.type === 'text' ? part.text : part.type === 'refusal' ? part.refusal : undefined
      if (typeof text === 'string') return text
      throw invalidRequest(`The embedded model supports only text; parts of type '${part.type}' are not supported.`, {
        param: `${param}.content[${at}]`,
        code: 'unsupported_content',
      })
    })
    .join('\n')
}
