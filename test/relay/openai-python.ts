type Fields = Record<string, unknown>

/**
 * How openai-python (`ChatCompletionStreamState`, 3.57) accumulates the chunks of a stream, as far as it can fail or lose something: lists of a delta are
 * merged by `index`, texts are joined wherever they stand, a delta and the function of each call must be there. Throws where it raises. Returns the
 * messages by choice.
 */
export function accumulated(chunks: readonly Fields[]): Fields[] {
  const messages: Fields[] = []
  for (const chunk of chunks) {
    if (chunk['object'] !== 'chat.completion.chunk') throw new TypeError('The chunk is left out: it has another object.')
    if (!Array.isArray(chunk['choices'])) throw new TypeError('choices is not iterable')
    for (const choice of chunk['choices'] as Fields[]) takeChoice(messages, choice)
  }
  return messages
}

function takeChoice(messages: Fields[], { index, delta }: Fields): void {
  if (!Number.isInteger(index) || (index as number) > messages.length) throw new RangeError(`list index out of range: ${String(index)}`)
  if (!isFields(delta)) throw new TypeError('The choice has no delta.')
  const message = (messages[index as number] ??= {})
  merge(message, structuredClone(delta))
  const calls = (message['tool_calls'] ?? []) as Fields[]
  for (const entry of (delta['tool_calls'] ?? []) as Fields[]) {
    const call = calls[entry['index'] as number]
    if (!call) throw new RangeError('list index out of range')
    if (call['type'] !== 'function') continue
    if (!isFields(entry['function'])) throw new TypeError('assert tool_call_delta.function is not None')
    const fn = call['function'] as Fields
    if (typeof fn['name'] !== 'string' || typeof fn['arguments'] !== 'string') throw new TypeError('The function lacks name or arguments.')
  }
}

function merge(into: Fields, delta: Fields): Fields {
  for (const [key, value] of Object.entries(delta)) {
    const before = into[key]
    if (before === undefined || before === null) {
      if (!isIndexed(value)) {
        into[key] = value
        continue
      }
      into[key] = []
    }
    const base = into[key]
    if (key === 'index' || key === 'type') into[key] = value
    else if (typeof base === 'string' && typeof value === 'string') into[key] = base + value
    else if (typeof base === 'number' && typeof value === 'number') into[key] = base + value
    else if (isFields(base) && isFields(value)) merge(base, value)
    else if (Array.isArray(base) && Array.isArray(value)) mergeLists(base, value)
  }
  return into
}

function mergeLists(base: unknown[], delta: unknown[]): void {
  if (base.every((item) => typeof item !== 'object') && (base.length > 0 || !isIndexed(delta))) {
    base.push(...delta)
    return
  }
  for (const entry of delta) {
    if (!isFields(entry)) throw new TypeError('Unexpected list delta entry is not a dictionary')
    const index = entry['index']
    if (!Number.isInteger(index)) throw new TypeError(`Unexpected, list delta entry \`index\` value is not an integer; ${String(index)}`)
    const known = base.at(index as number)
    if (known === undefined) base.splice(index as number, 0, entry)
    else merge(known as Fields, entry)
  }
}

function isIndexed(value: unknown): boolean {
  return Array.isArray(value) && value.some((entry) => isFields(entry) && 'index' in entry)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
