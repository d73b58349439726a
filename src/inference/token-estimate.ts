import type { WireFormat } from '../operations/wire-format.ts'
import type { StreamFacts } from '../providers/provider.ts'
import { likelyOutput } from '../quota/estimate.ts'

/** Average bytes of text for one token. */
const bytesPerToken = 4

/** Bytes around the text of a frame, where there was no sample. */
const defaultEnvelopeBytes = 200
/** Of a sample. */
const maxSampleBytes = 4_096

/**
 * Estimates the output tokens of a stream whose provider reports none: one for each frame after the first with content, or one for four bytes
 * of text, whichever is more. While the stream runs it only adds up sizes.
 */
export class StreamMeter {
  readonly #facts: StreamFacts
  readonly #format: WireFormat
  #bytes = 0
  #framesBefore = 0
  /** Frames before the first with content. */
  #silent = 0
  /** The first frames with content. */
  #sample: Uint8Array | undefined

  constructor(facts: StreamFacts, format: WireFormat) {
    this.#format = format
    this.#facts = facts
  }

  add(item: Uint8Array): void {
    const { frames, firstTokenAt } = this.#facts
    if (firstTokenAt === undefined) this.#silent = frames
    // The end of a stream (`[DONE]`) is not counted as a frame.
    else if (!this.#sample && frames > this.#framesBefore) this.#sample = item.slice(0, maxSampleBytes)
    this.#framesBefore = frames
    this.#bytes += item.length
  }

  /** 0 before the first token. */
  tokens(): number {
    const { frames, firstTokenAt } = this.#facts
    if (firstTokenAt === undefined) return 0
    const text = this.#bytes - frames * (this.#sample ? envelopeOf(this.#sample, this.#format) : defaultEnvelopeBytes)
    return likelyOutput(frames - this.#silent, text)
  }
}

/** Bytes that a frame has around its text: the average of the complete frames in a sample. */
function envelopeOf(sample: Uint8Array, format: WireFormat): number {
  const frames = decoder.decode(sample).split('\n\n').slice(0, -1)
  let around = 0
  let count = 0
  for (const frame of frames) {
    const text = format.frameText(frame)
    if (text === undefined) continue
    around += Buffer.byteLength(frame) + 2 - text
    count += 1
  }
  return count === 0 ? defaultEnvelopeBytes : around / count
}

const decoder = new TextDecoder()

/** Roughly the output tokens of a complete reply without usage: a token for four bytes of its text. */
export function tokensOfReply(bytes: Uint8Array, format: WireFormat): number {
  return Math.ceil(format.replyText(bytes) / bytesPerToken)
}
