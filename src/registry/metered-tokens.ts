import type { Capability, StreamFacts } from '../providers/provider.ts'
import { likelyOutput } from '../quota/estimate.ts'

/** Bytes of text for one token, usually. */
const bytesPerToken = 4

/** Bytes around the text of a usual frame, where none could be looked at. */
const defaultEnvelopeBytes = 200
/** Bytes of a stream that are kept to look at. */
const maxSampleBytes = 4_096

/**
 * Counts roughly how many tokens a stream has brought, for streams whose provider does not say: one for each frame after the first with
 * content, or one for four bytes beyond what a frame has around its text, whichever is more. While the stream runs it only adds up sizes.
 */
export class StreamMeter {
  readonly #facts: StreamFacts
  #bytes = 0
  #framesBefore = 0
  /** Frames before the first that said anything. */
  #silent = 0
  /** The first frames that said something. */
  #sample: Uint8Array | undefined

  constructor(facts: StreamFacts) {
    this.#facts = facts
  }

  add(item: Uint8Array): void {
    const { frames, firstTokenAt } = this.#facts
    if (firstTokenAt === undefined) this.#silent = frames
    // The end of a stream (`[DONE]`) is no frame of the provider's.
    else if (!this.#sample && frames > this.#framesBefore) this.#sample = item.slice(0, maxSampleBytes)
    this.#framesBefore = frames
    this.#bytes += item.length
  }

  /** 0 before the first token. */
  tokens(): number {
    const { frames, firstTokenAt } = this.#facts
    if (firstTokenAt === undefined) return 0
    const text = this.#bytes - frames * (this.#sample ? envelopeOf(this.#sample) : defaultEnvelopeBytes)
    return likelyOutput(frames - this.#silent, text)
  }
}

/** Bytes that a frame has around its text, by those that are whole in a sample. */
function envelopeOf(sample: Uint8Array): number {
  const frames = decoder.decode(sample).split('\n\n').slice(0, -1)
  let around = 0
  let count = 0
  for (const frame of frames) {
    const text = textOf(frame)
    if (text === undefined) continue
    around += Buffer.byteLength(frame) + 2 - text
    count += 1
  }
  return count === 0 ? defaultEnvelopeBytes : around / count
}

/** Bytes of text in one frame; undefined where it is none of a model's. */
function textOf(frame: string): number | undefined {
  const choices = frame.startsWith('data: {') ? choicesOf(frame.slice(6)) : undefined
  return choices && sizeOf(choices)
}

const decoder = new TextDecoder()

interface ReplyChoice {
  readonly message?: unknown
  readonly delta?: unknown
  readonly text?: unknown
}

/** Roughly the output tokens of a whole answer without usage: a token for four bytes of what its choices say. */
export function tokensOfReply(bytes: Uint8Array, capability: Capability): number {
  if (capability !== 'chat' && capability !== 'completions') return 0
  return Math.ceil(sizeOf(choicesOf(decoder.decode(bytes)) ?? []) / bytesPerToken)
}

function choicesOf(json: string): readonly (ReplyChoice | null)[] | undefined {
  try {
    const { choices } = JSON.parse(json) as { choices?: unknown }
    return Array.isArray(choices) ? (choices as readonly (ReplyChoice | null)[]) : undefined
  } catch {
    // The relay passes on what is nearly JSON: an estimate must not fail an answer.
    return undefined
  }
}

/** Bytes of what choices say: texts as they are, all else (calls of tools) as JSON. */
function sizeOf(choices: readonly (ReplyChoice | null)[]): number {
  let size = 0
  for (const choice of choices) {
    if (typeof choice?.text === 'string') size += Buffer.byteLength(choice.text)
    const said = choice?.message ?? choice?.delta
    if (typeof said !== 'object' || said === null) continue
    for (const [name, value] of Object.entries(said)) {
      if (name === 'role' || value === null || value === undefined) continue
      size += Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value))
    }
  }
  return size
}
