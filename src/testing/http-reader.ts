/** One request as it came in, before anything is made of it. */
export interface RawRequest {
  method: string
  /** Path and query. */
  path: string
  headers: Record<string, string>
  bytes: Uint8Array
}

/**
 * Reads HTTP/1.1 requests off a socket's pieces, one after another: bodies by `content-length` or chunked.
 * Enough for a test's own upstream; throws on what it does not know.
 */
export class HttpReader {
  #held: Buffer = Buffer.alloc(0)

  push(piece: Uint8Array): void {
    this.#held = Buffer.concat([this.#held, piece])
  }

  /** The next whole request, or undefined when more bytes are needed. */
  next(): RawRequest | undefined {
    const headEnd = this.#held.indexOf('\r\n\r\n')
    if (headEnd < 0) return undefined
    const [requestLine = '', ...lines] = this.#held.toString('latin1', 0, headEnd).split('\r\n')
    const [method = '', path = ''] = requestLine.split(' ')
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
    }
    const start = headEnd + 4
    const body =
      headers['transfer-encoding'] === 'chunked' ? this.#chunked(start) : this.#counted(start, Number(headers['content-length'] ?? 0))
    if (!body) return undefined
    this.#held = this.#held.subarray(body.end)
    return { method, path, headers, bytes: new Uint8Array(body.bytes) }
  }

  #counted(start: number, length: number): { bytes: Buffer; end: number } | undefined {
    if (this.#held.length < start + length) return undefined
    return { bytes: this.#held.subarray(start, start + length), end: start + length }
  }

  #chunked(start: number): { bytes: Buffer; end: number } | undefined {
    const pieces: Buffer[] = []
    let at = start
    for (;;) {
      const lineEnd = this.#held.indexOf('\r\n', at)
      if (lineEnd < 0) return undefined
      const size = Number.parseInt(this.#held.toString('latin1', at, lineEnd), 16)
      const dataStart = lineEnd + 2
      if (this.#held.length < dataStart + size + 2) return undefined
      if (size === 0) return { bytes: Buffer.concat(pieces), end: dataStart + 2 }
      pieces.push(this.#held.subarray(dataStart, dataStart + size))
      at = dataStart + size + 2
    }
  }
}
