import type { GenAiMessage, GenAiMessagePart } from '../messages.ts'
import type { JsonObject } from '../wire-format.ts'
import { parseReply } from './reply.ts'
import { foldFrames } from './stream-fold.ts'

/** Of one request; the last ones are kept. */
const maxMessages = 100
const maxParts = 50

export function requestMessages(body: unknown, maxLength: number): GenAiMessage[] {
  const { messages, prompt, input } = fieldsOf(body)
  const given = Array.isArray(messages) ? (messages as unknown[]).slice(-maxMessages) : []
  if (given.length > 0) return given.map((message) => toMessage(fieldsOf(message), maxLength))
  const text = prompt ?? input
  return text === undefined || text === null ? [] : [{ role: 'user', parts: [{ type: 'text', content: cut(text, maxLength) }] }]
}

export function replyMessages(bytes: Uint8Array, maxLength: number): GenAiMessage[] {
  return choicesOf(parseReply(bytes)).map((choice) => toOutput(choice, maxLength))
}

export function frameMessages(frames: string, maxLength: number): GenAiMessage[] {
  return choicesOf(foldFrames(frames)).map((choice) => toOutput(choice, maxLength))
}

function toMessage(message: JsonObject, maxLength: number): GenAiMessage {
  const { role, content, tool_calls: calls, tool_call_id: callId } = message
  const parts: GenAiMessagePart[] = []
  if (callId !== undefined) parts.push({ type: 'tool_call_response', id: cut(callId, maxLength), response: cut(content, maxLength) })
  else if (typeof content === 'string') parts.push({ type: 'text', content: cut(content, maxLength) })
  else if (Array.isArray(content)) {
    for (const part of (content as unknown[]).slice(0, maxParts)) {
      const { type, text } = fieldsOf(part)
      // Of images and sound only the type is captured.
      parts.push(
        typeof text === 'string'
          ? { type: 'text', content: cut(text, maxLength) }
          : { type: typeof type === 'string' ? type.slice(0, 64) : 'other' },
      )
    }
  }
  if (Array.isArray(calls)) {
    for (const call of (calls as unknown[]).slice(0, maxParts)) parts.push(toToolCall(fieldsOf(call), maxLength))
  }
  return { role: typeof role === 'string' ? role.slice(0, 64) : 'assistant', parts }
}

function toToolCall({ id, function: called }: JsonObject, maxLength: number): GenAiMessagePart {
  const { name, arguments: given } = fieldsOf(called)
  return { type: 'tool_call', id: cut(id ?? '', maxLength), name: cut(name ?? '', maxLength), arguments: cut(given ?? '', maxLength) }
}

function toOutput({ message, delta, text, finish_reason: reason }: JsonObject, maxLength: number): GenAiMessage {
  const generated = message ?? delta
  const base =
    generated === undefined
      ? { role: 'assistant', parts: [{ type: 'text', content: cut(text ?? '', maxLength) }] }
      : toMessage(fieldsOf(generated), maxLength)
  return { ...base, ...(typeof reason === 'string' && { finish_reason: reason.slice(0, 64) }) }
}

function choicesOf(reply: unknown): readonly JsonObject[] {
  const { choices } = fieldsOf(reply)
  return Array.isArray(choices) ? (choices as unknown[]).slice(0, maxParts).map(fieldsOf) : []
}

function fieldsOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null ? (value as JsonObject) : {}
}

function cut(value: unknown, maxLength: number): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, maxLength)
}
