/** A part of a message as the GenAI conventions have it. */
export interface ContentPart {
  readonly type: string
  readonly content?: string
  readonly id?: string
  readonly name?: string
  readonly arguments?: string
  readonly response?: string
}

export interface ContentMessage {
  readonly role: string
  readonly parts: readonly ContentPart[]
  readonly finish_reason?: string
}

/** What was said, of one answer of a model: only where that is switched on. Not redacted yet: that happens off the serving thread. */
export interface SpanContent {
  readonly input: readonly ContentMessage[]
  readonly output: readonly ContentMessage[]
}

type Fields = Readonly<Record<string, unknown>>

/** Of one request; the last ones say most. */
const mostMessages = 100
const mostParts = 50

/** `most`: UTF-16 units of one text. */
export function contentOf(asked: unknown, answer: unknown, most: number): SpanContent {
  const cut = (value: unknown): string => textOf(value).slice(0, most)
  const { messages, prompt, input } = fieldsOf(asked)
  const said = Array.isArray(messages) ? (messages as unknown[]).slice(-mostMessages) : []
  const plain = prompt ?? input
  const single = plain === undefined || plain === null ? [] : [{ role: 'user', parts: [{ type: 'text', content: cut(plain) }] }]
  return {
    input: said.length > 0 ? said.map((message) => toMessage(fieldsOf(message), cut)) : single,
    output: choicesOf(answer).map((choice) => toOutput(choice, cut)),
  }
}

type Cut = (value: unknown) => string

function toMessage(message: Fields, cut: Cut): ContentMessage {
  const { role, content, tool_calls: calls, tool_call_id: answered } = message
  const parts: ContentPart[] = []
  if (answered !== undefined) parts.push({ type: 'tool_call_response', id: cut(answered), response: cut(content) })
  else if (typeof content === 'string') parts.push({ type: 'text', content: cut(content) })
  else if (Array.isArray(content)) {
    for (const part of (content as unknown[]).slice(0, mostParts)) {
      const { type, text } = fieldsOf(part)
      // Images and sounds are told by their kind alone.
      parts.push(
        typeof text === 'string' ? { type: 'text', content: cut(text) } : { type: typeof type === 'string' ? type.slice(0, 64) : 'other' },
      )
    }
  }
  if (Array.isArray(calls)) for (const call of (calls as unknown[]).slice(0, mostParts)) parts.push(toToolCall(fieldsOf(call), cut))
  return { role: typeof role === 'string' ? role.slice(0, 64) : 'assistant', parts }
}

function toToolCall({ id, function: called }: Fields, cut: Cut): ContentPart {
  const { name, arguments: given } = fieldsOf(called)
  return { type: 'tool_call', id: cut(id ?? ''), name: cut(name ?? ''), arguments: cut(given ?? '') }
}

function toOutput({ message, delta, text, finish_reason: reason }: Fields, cut: Cut): ContentMessage {
  const said = message ?? delta
  const base =
    said === undefined ? { role: 'assistant', parts: [{ type: 'text', content: cut(text ?? '') }] } : toMessage(fieldsOf(said), cut)
  return { ...base, ...(typeof reason === 'string' && { finish_reason: reason.slice(0, 64) }) }
}

function choicesOf(answer: unknown): readonly Fields[] {
  const { choices } = fieldsOf(answer)
  return Array.isArray(choices) ? (choices as unknown[]).slice(0, mostParts).map(fieldsOf) : []
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}
