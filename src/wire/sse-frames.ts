import { concat } from './json-edit.ts'

const lf = 0x0a
const cr = 0x0d
const colon = 0x3a
const space = 0x20
const dataField = new TextEncoder().encode('data:')

const none = new Uint8Array()

export class FrameTooLarge extends Error {}

/**
 * Splits server-sent events into frames as their bytes arrive: LF, CRLF and CR, split at any byte. Each byte is looked at once and copied at most once,
 * however large the frame and however many the pieces.
 *
 *     splitter.push(chunk)
 *     while (splitter.next()) use(splitter.bytes, splitter.start, splitter.end)
 */
export class FrameSplitter {
  /** The frame that `next` has found: its lines without the last one's end. Valid until the next call of `push`. */
  bytes: Uint8Array = new Uint8Array()
  start = 0
  end = 0
  /** Whether the frame is one line. */
  singleLine = false

  readonly #limit: number
  #chunk: Uint8Array = new Uint8Array()
  #hasCr = false
  /** Where the current frame begins in the chunk; what lies before it is done with. */
  #from = 0
  /** Where the search goes on. */
  #at = 0
  /** The frame's bytes from earlier chunks. */
  #carried: Uint8Array[] = []
  #carriedSize = 0
  /** No byte has come yet on the current line. */
  #lineEmpty = true
  /** The last byte was a CR: an LF now belongs to it. */
  #afterCr = false
  /** Lines of the current frame so far, ended ones. */
  #lines = 0
  #first = true

  /** `limit`: the largest frame in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Takes the next chunk, from `from` on; every frame of the one before must have been taken out. Keeps a reference, changes nothing.
   */
  push(chunk: Uint8Array, from = 0): void {
    this.#chunk = chunk
    // The frame found last would keep the memory of an earlier chunk alive for as long as none is looked at.
    this.bytes = none
    this.#from = from
    this.#at = from
    if (this.#first && chunk.length) {
      this.#first = false
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) this.#from = this.#at = 3
    }
    this.#hasCr = this.#afterCr || chunk.includes(cr)
  }

  /** Nothing of a frame is held back: the next chunk begins with one. */
  get idle(): boolean {
    return this.#carriedSize === 0 && !this.#afterCr && !this.#first
  }

  /** Where in the chunk the next frame begins; -1 while one is under way, or where lines end with CR. */
  get boundary(): number {
    return this.#hasCr || this.#carriedSize > 0 || this.#at !== this.#from || this.#at >= this.#chunk.length ? -1 : this.#at
  }

  /** Skips the complete frames before `at`, which other code has read. Only at a boundary. */
  skipTo(at: number): void {
    this.#from = this.#at = at
  }

  /** Finds the next whole frame. Throws FrameTooLarge. */
  next(): boolean {
    return this.#hasCr ? this.#nextOfAnyEnding() : this.#nextOfLf()
  }

  /** After the last chunk: what is left without its empty line, as one more frame. */
  flush(): boolean {
    this.#chunk = new Uint8Array()
    this.#from = 0
    this.#at = 0
    if (!this.#lineEmpty) this.#lines += 1
    this.#lineEmpty = true
    return this.#carriedSize > 0 && this.#emit(0)
  }

  #nextOfLf(): boolean {
    const chunk = this.#chunk
    for (;;) {
      const at = chunk[this.#at] === lf ? this.#at : chunk.indexOf(lf, this.#at)
      if (at < 0) {
        if (this.#at < chunk.length) this.#lineEmpty = false
        return this.#carry()
      }
      const isEmpty = this.#lineEmpty && at === this.#at
      this.#at = at + 1
      this.#lineEmpty = true
      if (!isEmpty) this.#lines += 1
      else if (this.#emit(at)) return true
    }
  }

  #nextOfAnyEnding(): boolean {
    const chunk = this.#chunk
    for (let at = this.#at; at < chunk.length; at += 1) {
      const byte = chunk[at]
      if (byte === lf && this.#afterCr) {
        this.#afterCr = false
        // The frame had ended with the CR: this LF belongs to no frame.
        if (at === this.#from && this.#carriedSize === 0) this.#from = at + 1
        continue
      }
      this.#afterCr = byte === cr
      if (byte !== lf && byte !== cr) {
        this.#lineEmpty = false
        continue
      }
      const isEmpty = this.#lineEmpty
      this.#lineEmpty = true
      this.#at = at + 1
      if (!isEmpty) this.#lines += 1
      else if (this.#emit(at)) return true
    }
    this.#at = chunk.length
    return this.#carry()
  }

  #carry(): false {
    const chunk = this.#chunk
    if (this.#from < chunk.length) {
      this.#carried.push(this.#from === 0 ? chunk : chunk.subarray(this.#from))
      this.#carriedSize += chunk.length - this.#from
      this.#from = this.#at = chunk.length
      if (this.#carriedSize > this.#limit) throw new FrameTooLarge(`A frame is larger than ${this.#limit} bytes.`)
    }
    return false
  }

  /** Makes what lies before `emptyLine` the current frame; false when that is nothing. */
  #emit(emptyLine: number): boolean {
    if (this.#carriedSize) {
      this.#carried.push(this.#chunk.subarray(this.#from, emptyLine))
      this.bytes = concat(this.#carried)
      this.start = 0
      this.end = this.bytes.length
      this.#carried = []
      this.#carriedSize = 0
    } else {
      this.bytes = this.#chunk
      this.start = this.#from
      this.end = emptyLine
    }
    this.#from = this.#at
    this.singleLine = this.#lines <= 1
    this.#lines = 0
    if (this.end - this.start > this.#limit) throw new FrameTooLarge(`A frame is larger than ${this.#limit} bytes.`)
    const { bytes } = this
    if (this.end > this.start && bytes[this.end - 1] === lf) this.end -= 1
    if (this.end > this.start && bytes[this.end - 1] === cr) this.end -= 1
    return this.end > this.start
  }
}

/** Where the data of a frame of one line begins; -1 when the line is a comment or another field. */
export function dataStart(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < dataField.length) return -1
  for (let index = 0; index < dataField.length; index += 1) if (bytes[start + index] !== dataField[index]) return -1
  const at = start + dataField.length
  return bytes[at] === space && at < end ? at + 1 : at
}

interface Frame {
  /** Absent: `message`. */
  event?: string
  /** The data lines, joined by LF; absent when there is none. */
  data?: Uint8Array
}

/** Reads a frame of any number of lines, as the standard says. */
export function readFrame(bytes: Uint8Array): Frame {
  const frame: Frame = {}
  const data: Uint8Array[] = []
  let start = 0
  for (let at = 0; at <= bytes.length; at += 1) {
    const byte = bytes[at]
    if (at < bytes.length && byte !== lf && byte !== cr) continue
    const line = bytes.subarray(start, at)
    if (byte === cr && bytes[at + 1] === lf) at += 1
    start = at + 1
    const split = line.indexOf(colon)
    const name = new TextDecoder().decode(split < 0 ? line : line.subarray(0, split))
    const value = split < 0 ? new Uint8Array() : line.subarray(line[split + 1] === space ? split + 2 : split + 1)
    if (name === 'data') data.push(...(data.length ? [newline, value] : [value]))
    else if (name === 'event') frame.event = new TextDecoder().decode(value)
  }
  if (data.length) frame.data = concat(data)
  return frame
}

const newline = Uint8Array.of(lf)
