/** Bytes of one stream that are kept. */
const maxBytes = 262_144

/** The frames of a stream as the caller got them, kept for the spans of those who want content. */
export class StreamedContent {
  readonly #pieces: Uint8Array[] = []
  #size = 0

  /** The piece may be used again by whoever gave it: it is copied. */
  add(piece: Uint8Array): void {
    if (this.#size >= maxBytes) return
    this.#size += piece.length
    this.#pieces.push(piece.slice())
  }

  /** As a JSON response would have it: the texts of each choice joined. Frames that are cut or no JSON are left out. */
  toReply(): { choices: object[] } {
    const choices = new Map<number, StreamedChoice>()
    const text = new TextDecoder().decode(Buffer.concat(this.#pieces))
    for (const frame of text.split('\n\n')) {
      if (!frame.startsWith('data: {')) continue
      for (const choice of choicesIn(frame.slice(6))) add(choices, choice)
    }
    return {
      choices: [...choices.values()].map(({ text: content, calls, reason }) => ({
        message: { role: 'assistant', content, ...(calls.size > 0 && { tool_calls: [...calls.values()] }) },
        finish_reason: reason,
      })),
    }
  }
}

interface StreamedChoice {
  text: string
  reason: string | undefined
  readonly calls: Map<number, { id: unknown; function: { name: unknown; arguments: string } }>
}

interface StreamedDelta {
  readonly index?: number
  readonly text?: unknown
  readonly finish_reason?: unknown
  readonly delta?: {
    readonly content?: unknown
    readonly tool_calls?: readonly { index?: number; id?: unknown; function?: { name?: unknown; arguments?: unknown } }[]
  } | null
}

function choicesIn(json: string): readonly StreamedDelta[] {
  try {
    const { choices } = JSON.parse(json) as { choices?: unknown }
    return Array.isArray(choices) ? (choices as (StreamedDelta | null)[]).filter((choice) => choice !== null) : []
  } catch {
    // The last one that was kept may be cut.
    return []
  }
}

function add(choices: Map<number, StreamedChoice>, { index = 0, text, delta, finish_reason: reason }: StreamedDelta): void {
  let choice = choices.get(index)
  if (!choice) choices.set(index, (choice = { text: '', reason: undefined, calls: new Map() }))
  const content = delta?.content ?? text
  if (typeof content === 'string') choice.text += content
  if (typeof reason === 'string') choice.reason = reason
  if (!Array.isArray(delta?.tool_calls)) return
  for (const { index: at = 0, id, function: called } of delta.tool_calls) {
    let call = choice.calls.get(at)
    if (!call) choice.calls.set(at, (call = { id, function: { name: called?.name, arguments: '' } }))
    if (typeof called?.arguments === 'string') call.function.arguments += called.arguments
  }
}
