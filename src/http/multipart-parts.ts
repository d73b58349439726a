/**
 * Counts the parts of a multipart body as its bytes pass: what stands between two delimiters (RFC 2046 §5.1.1). The parser of forms leaves out, without
 * a word, a part whose header it cannot read; the count tells that one is missing.
 */
export class PartCounter {
  count = 0
  readonly #delimiter: Buffer
  /** What may be the beginning of a delimiter, or a delimiter whose next bytes are not there yet. A body begins as if after a line. */
  #rest: Buffer = Buffer.from('\r\n')
  #isClosed = false

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  }

  push(piece: Uint8Array): void {
    if (this.#isClosed) return
    const bytes = Buffer.concat([this.#rest, piece])
    const { length } = this.#delimiter
    let at = 0
    for (;;) {
      const found = bytes.indexOf(this.#delimiter, at)
      if (found < 0) {
        at = Math.max(at, bytes.length - length + 1)
        break
      }
      // The two bytes behind it tell the closing delimiter from the others.
      if (found + length + 2 > bytes.length) {
        at = found
        break
      }
      if (bytes[found + length] === dash && bytes[found + length + 1] === dash) {
        this.#isClosed = true
        return
      }
      this.count += 1
      at = found + length
    }
    this.#rest = bytes.subarray(at)
  }
}

const dash = 45
