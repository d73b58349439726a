/**
 * Counts the parts of a multipart body (RFC 2046 §5.1.1) as its bytes pass. The parser of forms silently skips a part whose header it cannot read; the
 * count detects that.
 */
export class PartCounter {
  count = 0
  readonly #delimiter: Buffer
  /** The possible beginning of a delimiter, or a delimiter without the two bytes that follow it. A body begins as if after a line break. */
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
      // The next two bytes distinguish the closing delimiter.
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
