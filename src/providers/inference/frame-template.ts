import { endOfString, equalBytes } from '../../wire/json-scan.ts'
import { concat } from '../../wire/json-edit.ts'

const encoder = new TextEncoder()

/** Members of a chunk whose texts differ from frame to frame while all around them stays. */
const changingTexts = ['content', 'reasoning_content', 'reasoning', 'text', 'arguments', 'obfuscation']
const openings = changingTexts.flatMap((name) => [`"${name}":"`, `"${name}": "`]).map((text) => encoder.encode(text))

const dataField = encoder.encode('data: ')
const frameEnd = encoder.encode('\n\n')

const { compare, indexOf } = Buffer.prototype

/**
 * What most frames of a stream have in common: they are the same bytes but for one or two texts. A frame that fits the template of one that was looked at
 * in full has the same members, and is as well-formed, by that alone.
 */
export class FrameTemplate {
  /** How a fitting frame begins once edited, up to its first changing text. */
  readonly editedStart: Uint8Array
  /** How a fitting frame begins as it comes, up to the same place. */
  readonly #start: Uint8Array
  /** What follows each changing text, its closing quote included, up to the next or to the end of the empty line that ends the frame. */
  readonly #rests: readonly Uint8Array[]

  private constructor(start: Uint8Array, rests: readonly Uint8Array[], editedStart: Uint8Array) {
    this.#start = start
    this.#rests = rests
    this.editedStart = editedStart
  }

  /** Bytes before the first changing text. */
  get startLength(): number {
    return this.#start.length
  }

  /**
   * Of the JSON of a well-formed frame. `head` is what was written for it up to `lastEdit`, where its last edited value ends; the rest of it goes on as it came.
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
      const close = endOfString(frame, hole) - 1
      if (close < 0) return undefined
      const next = holes[index + 1]
      rests.push(next === undefined ? concat([frame.subarray(close), frameEnd]) : frame.slice(close, next))
    }
    return new FrameTemplate(concat([dataField, frame.subarray(0, first)]), rests, concat([head, frame.subarray(lastEdit, first)]))
  }

  /** Bytes of an edited frame without its changing texts. */
  get envelope(): number {
    return this.#rests.reduce((size, rest) => size + rest.length, this.editedStart.length)
  }

  /** Where the frame that begins at `start` ends, its empty line included; -1 when it does not fit. */
  fit(bytes: Uint8Array, start: number): number {
    let at = start + this.#start.length
    if (!equal(bytes, start, at, this.#start)) return -1
    for (const rest of this.#rests) {
      const close = endOfString(bytes, at) - 1
      at = close + rest.length
      if (close < 0 || !equal(bytes, close, at, rest)) return -1
    }
    return at
  }
}

/** Where the native comparison begins to be worth its call. */
const shortBytes = 16

function equal(bytes: Uint8Array, start: number, end: number, what: Uint8Array): boolean {
  if (end > bytes.length) return false
  return what.length < shortBytes ? equalBytes(bytes, start, what) : compare.call(bytes, what, 0, what.length, start, end) === 0
}
