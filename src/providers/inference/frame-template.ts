import { isHexDigit } from '../../wire/json-scan.ts'
import { concat } from '../../wire/json-edit.ts'

const encoder = new TextEncoder()

/** Members of a chunk whose texts differ from frame to frame while all around them stays. */
const changingTexts = ['content', 'reasoning_content', 'reasoning', 'text', 'arguments', 'obfuscation']
const openings = changingTexts.flatMap((name) => [`"${name}":"`, `"${name}": "`]).map((text) => encoder.encode(text))

const quote = 0x22
const backslash = 0x5c
const letterU = 0x75
/** The characters that may follow a backslash. */
const escapable = new Set('"\\/bfnrtu'.split('').map((char) => char.charCodeAt(0)))

const { compare, indexOf } = Buffer.prototype

/**
 * What most frames of a stream have in common: they are the same bytes but for one or two texts. A frame that fits the template of one that was looked at
 * in full has the same members, and is as well-formed, by that alone.
 */
export class FrameTemplate {
  /** How a fitting frame begins once edited, up to its first changing text. */
  readonly editedStart: Uint8Array
  /** How a fitting frame begins, as it comes. */
  readonly #start: Uint8Array
  /** What follows each changing text, its closing quote included. */
  readonly #rests: readonly Uint8Array[]

  private constructor(start: Uint8Array, rests: readonly Uint8Array[], editedStart: Uint8Array) {
    this.#start = start
    this.#rests = rests
    this.editedStart = editedStart
  }

  /**
   * Of a well-formed frame. `head` is what was written for it up to `lastEdit`, where its last edited value ends; the rest of it goes on as it came.
   * Undefined when the frame has no changing text, or when something was edited behind the first one.
   */
  static of(frame: Uint8Array, head: Uint8Array, lastEdit: number): FrameTemplate | undefined {
    // In well-formed JSON such an opening is never part of a text: there its quotes would have backslashes.
    const holes = openings
      .map((opening) => ({ at: indexOf.call(frame, opening), length: opening.length }))
      .filter(({ at }) => at >= 0)
      .map(({ at, length }) => at + length)
      .toSorted((a, b) => a - b)
    const [first] = holes
    if (first === undefined || first < lastEdit) return undefined
    const rests: Uint8Array[] = []
    for (const [index, hole] of holes.entries()) {
      const close = endOfText(frame, hole)
      if (close < 0) return undefined
      rests.push(frame.slice(close, holes[index + 1]))
    }
    return new FrameTemplate(frame.slice(0, first), rests, concat([head, frame.subarray(lastEdit, first)]))
  }

  /** Where the first changing text of the frame begins; -1 when the frame does not fit. */
  fit(bytes: Uint8Array, start: number, end: number): number {
    const first = start + this.#start.length
    if (first >= end || !equal(bytes, start, first, this.#start)) return -1
    let at = first
    for (const rest of this.#rests) {
      const close = endOfText(bytes, at)
      at = close + rest.length
      if (close < 0 || at > end || !equal(bytes, close, at, rest)) return -1
    }
    return at === end ? first : -1
  }
}

function equal(bytes: Uint8Array, start: number, end: number, what: Uint8Array): boolean {
  return end <= bytes.length && compare.call(bytes, what, 0, what.length, start, end) === 0
}

/** Where a text's closing quote stands; -1 when the text is not well-formed. */
function endOfText(bytes: Uint8Array, from: number): number {
  for (let at = from; ; at += 1) {
    const byte = bytes[at]
    if (byte === quote) return at
    if (byte === undefined || byte < 0x20) return -1
    if (byte !== backslash) continue
    at += 1
    const escaped = bytes[at] as number
    if (!escapable.has(escaped)) return -1
    if (escaped !== letterU) continue
    for (const last = at + 4; at < last; at += 1) if (!isHexDigit(bytes[at + 1] as number)) return -1
  }
}
