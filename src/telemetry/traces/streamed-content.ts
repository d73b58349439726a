/** Bytes of one stream that are kept. */
const maxBytes = 262_144

/** The frames of a stream as the caller got them, for spans that capture content. */
export class StreamedContent {
  readonly #pieces: Uint8Array[] = []
  #size = 0

  /** Copies the piece: its buffer is reused. */
  add(piece: Uint8Array): void {
    if (this.#size >= maxBytes) return
    this.#size += piece.length
    this.#pieces.push(piece.slice())
  }

  /** The last frame may be incomplete. */
  frames(): string {
    return new TextDecoder().decode(Buffer.concat(this.#pieces))
  }
}
