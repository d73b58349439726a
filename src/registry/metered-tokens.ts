import type { Capability, StreamFacts } from '../providers/provider.ts'

/** Bytes of text for one token, usually. */
const bytesPerToken = 4

/**
 * Counts roughly how many tokens a stream has brought, for streams whose provider does not say: one for each frame after the first with
 * content, or one for four bytes beyond what frames have around their text, whichever is more. Adds up sizes; looks at no frame.
 */
export class StreamMeter {
  readonly #facts: StreamFacts
  #bytes = 0
  /** Of a frame without text: the size of the smallest so far. */
  #envelope = Infinity
  #framesBefore = 0
  /** Frames before the first that said anything. */
  #silent = 0

  constructor(facts: StreamFacts) {
    this.#facts = facts
  }

  add(item: Uint8Array): void {
    const { frames, firstTokenAt } = this.#facts
    const count = frames - this.#framesBefore
    if (firstTokenAt === undefined) this.#silent = frames
    this.#framesBefore = frames
    this.#bytes += item.length
    // The end of a stream (`[DONE]`) is no frame of the provider's.
    if (count > 0) this.#envelope = Math.min(this.#envelope, item.length / count)
  }

  /** 0 before the first token. */
  tokens(): number {
    const { frames, firstTokenAt } = this.#facts
    if (firstTokenAt === undefined) return 0
    const text = this.#bytes - frames * (this.#envelope === Infinity ? 0 : this.#envelope)
    return Math.max(1, frames - this.#silent, Math.ceil(text / bytesPerToken))
  }
}

const decoder = new TextDecoder()

/** Roughly the output tokens of a whole answer without usage: a token for four bytes of what its choices say. */
export function tokensOfReply(bytes: Uint8Array, capability: Capability): number {
  if (capability !== 'chat' && capability !== 'completions') return 0
  const { choices } = JSON.parse(decoder.decode(bytes)) as { choices?: unknown }
  if (!Array.isArray(choices)) return 0
  let size = 0
  for (const choice of choices as ({ message?: unknown; text?: unknown } | null)[]) {
    if (typeof choice?.text === 'string') size += Buffer.byteLength(choice.text)
    if (typeof choice?.message === 'object' && choice.message !== null) {
      for (const [name, value] of Object.entries(choice.message)) {
        if (name === 'role' || value === null || value === undefined) continue
        size += Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value))
      }
    }
  }
  return Math.ceil(size / bytesPerToken)
}
