import { decodeText } from '../../wire/decode-text.ts'

type JsonFields = Record<string, unknown>

/** Members whose texts are complete in each chunk; those of all others are joined. */
const unjoined = new Set(['id', 'type', 'role', 'name', 'object', 'format', 'model'])
/** Objects nested deeper in a delta replace earlier ones. */
const maxDepth = 16
/** Entries of a list among which one with the same `index` is looked for. */
const maxSearched = 64

interface CollectedChoice {
  readonly index: number
  /** Of a chat. */
  message: JsonFields | undefined
  /** Of a text completion. */
  text: string | undefined
  readonly others: JsonFields
}

/** Folds the chunks of a stream, as the relay emits them, into one response with the same content. */
export class StreamFold {
  readonly #head: JsonFields = {}
  readonly #choices = new Map<number, CollectedChoice>()
  #usage: unknown

  /** Takes whole frames. */
  add(frames: Uint8Array): void {
    for (const frame of decodeText(frames, 0, frames.length).split('\n\n')) {
      if (frame.startsWith('data: {')) this.#chunk(JSON.parse(frame.slice('data: '.length)) as JsonFields)
    }
  }

  /** A chat or text completion; `toJsonReply` adds the members that OpenAI's schema requires. */
  result(): object {
    const choices = [...this.#choices.values()].toSorted((a, b) => a.index - b.index).map(toChoice)
    return { ...this.#head, choices, ...(isFields(this.#usage) && { usage: this.#usage }) }
  }

  #chunk({ choices, usage, object, ...head }: JsonFields): void {
    if (object === 'text_completion') this.#head['object'] = object
    else this.#head['object'] ??= 'chat.completion'
    // Padding of single chunks.
    delete head['obfuscation']
    for (const [name, value] of Object.entries(head))
      if (value !== null || get(this.#head, name) === undefined) set(this.#head, name, value)
    if (usage) this.#usage = usage
    for (const choice of choices as (JsonFields & { index: number })[]) this.#choice(choice)
  }

  #choice({ index, delta, text, ...others }: JsonFields & { index: number }): void {
    let choice = this.#choices.get(index)
    if (!choice) this.#choices.set(index, (choice = { index, message: undefined, text: undefined, others: {} }))
    if (isFields(delta)) choice.message = joinFields(choice.message ?? {}, delta, 0)
    if (typeof text === 'string') choice.text = (choice.text ?? '') + text
    for (const [name, value] of Object.entries(others)) {
      // A finish reason, or a vendor's member like it, replaces the earlier value; log probabilities are appended.
      const before = get(choice.others, name)
      set(choice.others, name, typeof before === 'string' ? (value ?? before) : joined(name, before, value, 0))
    }
  }
}

function toChoice({ index, message, text, others }: CollectedChoice): object {
  const calls = message?.['tool_calls']
  if (Array.isArray(calls)) for (const call of calls as JsonFields[]) delete call['index']
  return { index, ...(message && { message }), ...(text !== undefined && { text }), ...others }
}

function joined(name: string, before: unknown, value: unknown, depth: number): unknown {
  if (value === null || value === undefined) return before ?? value
  if (typeof before === 'string' && typeof value === 'string') return unjoined.has(name) ? value : before + value
  if (name === 'content' && isTextAndList(before, value)) return joinParts(partsOf(before), partsOf(value))
  if (Array.isArray(value)) return joinLists(Array.isArray(before) ? before : [], value, depth)
  return isFields(before) && isFields(value) && depth < maxDepth ? joinFields(before, value, depth + 1) : value
}

function isTextAndList(a: unknown, b: unknown): boolean {
  return (typeof a === 'string' && Array.isArray(b)) || (Array.isArray(a) && typeof b === 'string')
}

/** Some models stream their reasoning as a list of parts, and the text that follows as a string. */
function partsOf(content: unknown): unknown[] {
  if (Array.isArray(content)) return content
  return content === '' ? [] : [{ type: 'text', text: content }]
}

function joinParts(into: unknown[], parts: readonly unknown[]): unknown[] {
  for (const part of parts) {
    const last = into.at(-1)
    if (isTextPart(last) && isTextPart(part)) last.text += part.text
    else into.push(part)
  }
  return into
}

function isTextPart(part: unknown): part is { type: 'text'; text: string } {
  return isFields(part) && part['type'] === 'text' && typeof part['text'] === 'string'
}

function joinFields(into: JsonFields, delta: JsonFields, depth: number): JsonFields {
  for (const [name, value] of Object.entries(delta)) set(into, name, joined(name, get(into, name), value, depth))
  return into
}

/** Merges entries by `index`; entries without one are appended. */
function joinLists(into: unknown[], entries: readonly unknown[], depth: number): unknown[] {
  for (const entry of entries) {
    const index = isFields(entry) ? entry['index'] : undefined
    const known = typeof index === 'number' ? entryAt(into, index) : undefined
    if (known && depth < maxDepth) joinFields(known, entry as JsonFields, depth + 1)
    else into.push(entry)
  }
  return into
}

function entryAt(list: readonly unknown[], index: number): JsonFields | undefined {
  const has = (entry: unknown): entry is JsonFields => isFields(entry) && entry['index'] === index
  const [there, last] = [list[index], list.at(-1)]
  if (has(there)) return there
  if (has(last)) return last
  return list.length <= maxSearched ? list.find(has) : undefined
}

/** An own member; members of the prototype are not found, `__proto__` included. */
function get(from: JsonFields, name: string): unknown {
  return Object.hasOwn(from, name) ? from[name] : undefined
}

function set(into: JsonFields, name: string, value: unknown): void {
  // As a plain assignment it would set the prototype.
  if (name !== '__proto__') into[name] = value
}

function isFields(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
