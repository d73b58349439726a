/** The content of one entry of a delta's `tool_calls`. Empty texts and invalid indexes count as absent. */
export interface ToolCallEntry {
  readonly index: number | undefined
  readonly id: string | undefined
  readonly name: string | undefined
  /** What its arguments are: a text that could not begin an object, one that could, a whole object (as text or as JSON), or none. */
  readonly arguments: 'none' | 'fragment' | 'beginning' | 'whole'
  /** Its place among the entries of its delta. */
  readonly position: number
  /** How many entries the delta has. */
  readonly entries: number
}

/** One tool call of a choice, as the caller knows it. */
export interface StreamedToolCall {
  /** Its `index` for the caller: calls are counted from 0 in the order in which they begin. */
  readonly at: number
  /** Its id for the caller. */
  readonly id: string
  upstreamIndex: number | undefined
  upstreamId: string | undefined
  /** Absent until an entry has named the function. */
  name: string | undefined
  hasArguments: boolean
  /** Of another type than `function`. */
  isCustom: boolean
}

/** More than any response has; openai-node accepts 128. */
export const maxToolCalls = 1024

/**
 * Attributes the entries of streamed `tool_calls` to calls. OpenAI's schema does so by `index`. Upstreams leave it out, give every call the same, begin at
 * another number than 0, or send no id, a changing one, or the same for several calls.
 */
export class ToolCalls {
  readonly #calls: StreamedToolCall[] = []

  /** The call that an entry continues; undefined when it begins one. */
  find(entry: ToolCallEntry): StreamedToolCall | undefined {
    const call = this.#candidate(entry)
    return call && !beginsAnother(call, entry) ? call : undefined
  }

  /** Undefined beyond `maxToolCalls`. */
  begin({ index, id, name }: ToolCallEntry): StreamedToolCall | undefined {
    const calls = this.#calls
    if (calls.length >= maxToolCalls) return undefined
    const isFree = id !== undefined && !calls.some((call) => call.id === id)
    const call: StreamedToolCall = {
      at: calls.length,
      id: isFree ? id : makeCallId(),
      upstreamIndex: index,
      upstreamId: id,
      name,
      hasArguments: false,
      isCustom: false,
    }
    calls.push(call)
    return call
  }

  #candidate({ index, id, name, position, entries, arguments: given }: ToolCallEntry): StreamedToolCall | undefined {
    const calls = this.#calls
    const byId = id === undefined ? undefined : calls.findLast((call) => call.upstreamId === id)
    if (index !== undefined) {
      const byIndex = calls.findLast((call) => call.upstreamIndex === index)
      if (byId) return byId.upstreamIndex === index || name === undefined ? byId : byIndex
      // A call that began without an index gets one later.
      return byIndex ?? (name === undefined && id === undefined ? calls.findLast((call) => call.upstreamIndex === undefined) : undefined)
    }
    if (byId) return byId
    const last = calls.at(-1)
    // An upstream that gives ids gives one to the next call too: without one, an entry continues the last call.
    if (name !== undefined) return last?.name === name && (given === 'fragment' || last.upstreamId !== undefined) ? last : undefined
    return entries > 1 && entries === calls.length ? calls[position] : last
  }
}

/** Whether an entry that could continue `call` begins another one with the same index or id. Only entries with a name do. */
function beginsAnother(call: StreamedToolCall, { id, name, arguments: given }: ToolCallEntry): boolean {
  if (name === undefined || call.name === undefined) return false
  if (name !== call.name) return true
  if (call.upstreamId !== undefined && id === undefined) return false
  if (id !== undefined && call.upstreamId !== undefined && id !== call.upstreamId) return given !== 'fragment'
  return call.hasArguments && given === 'whole'
}

function makeCallId(): string {
  return `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
}
