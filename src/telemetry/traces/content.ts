/** A part of a message as the GenAI conventions have it. */
export interface SpanContentPart {
  readonly type: string
  readonly content?: string
  readonly id?: string
  readonly name?: string
  readonly arguments?: string
  readonly response?: string
}

export interface ContentMessage {
  readonly role: string
  readonly parts: readonly SpanContentPart[]
  readonly finish_reason?: string
}

/** What was said, of one answer of a model: only where that is switched on. Not redacted yet: that happens off the serving thread. */
export interface SpanContent {
  readonly input: readonly ContentMessage[]
  readonly output: readonly ContentMessage[]
}

type ContentFields = Readonly<Record<string, unknown>>

/** Of one request; the last ones say most. */
const maxMessages = 100
const maxParts = 50

/** `most`: UTF-16 units of one text. */
export function contentOf(requestBody: unknown, reply: unknown, maxLength: number): SpanContent {
  const cut = (value: unknown): string => textOf(value).slice(0, maxLength)
  const { messages, prompt, input } = fieldsOf(requestBody)
  const messageList = Array.isArray(messages) ? (messages as unknown[]).slice(-maxMessages) : []
  const plain = prompt ?? input
  const single = plain === undefined || plain === null ? [] : [{ role: 'user', parts: [{ type: 'text', content: cut(plain) }] }]
  return {
    input: messageList.length > 0 ? messageList.map((message) => toMessage(fieldsOf(message), cut)) : single,
    output: choicesOf(reply).map((choice) => toOutput(choice, cut)),
  }
}

type Cut = (value: unknown) => string

function toMessage(message: ContentFields, cut: Cut): ContentMessage {
  const { role, content, tool_calls: calls, tool_call_id: toolCallId } = message
  const parts: SpanContentPart[] = []
  if (toolCallId !== undefined) parts.push({ type: 'tool_call_response', id: cut(toolCallId), response: cut(content) })
  else if (typeof content === 'string') parts.push({ type: 'text', content: cut(content) })
  else if (Array.isArray(content)) {
    for (const part of (content as unknown[]).slice(0, maxParts)) {
      const { type, text } = fieldsOf(part)
      // Images and sounds are told by their kind alone.
      parts.push(
        typeof text === 'string' ? { type: 'text', content: cut(text) } : { type: typeof type === 'string' ? type.slice(0, 64) : 'other' },
      )
    }
  }
  if (Array.isArray(calls)) for (const call of (calls as unknown[]).slice(0, maxParts)) parts.push(toToolCall(fieldsOf(call), cut))
  return { role: typeof role === 'string' ? role.slice(0, 64) : 'assistant', parts }
}

function toToolCall({ id, function: called }: ContentFields, cut: Cut): SpanContentPart {
  const { name, arguments: args } = fieldsOf(called)
  return { type: 'tool_call', id: cut(id ?? ''), name: cut(name ?? ''), arguments: cut(args ?? '') }
}

function toOutput({ message, delta, text, finish_reason: reason }: ContentFields, cut: Cut): ContentMessage {
  const messageList = message ?? delta
  const base =
    messageList === undefined
      ? { role: 'assistant', parts: [{ type: 'text', content: cut(text ?? '') }] }
      : toMessage(fieldsOf(messageList), cut)
  return { ...base, ...(typeof reason === 'string' && { finish_reason: reason.slice(0, 64) }) }
}

function choicesOf(reply: unknown): readonly ContentFields[] {
  const { choices } = fieldsOf(reply)
  return Array.isArray(choices) ? (choices as unknown[]).slice(0, maxParts).map(fieldsOf) : []
}

function fieldsOf(value: unknown): ContentFields {
  return typeof value === 'object' && value !== null ? (value as ContentFields) : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}
