/** What has arrived of a stream, piece by piece. */
export interface ChunkReader {
  /** At least one piece, all that are there; undefined at the end. */
  read(): Promise<readonly Uint8Array[] | undefined>
  /** Frees what is held, where the source's own end does not. */
  close?(): void
}

/** Bun's own way to read: everything that has arrived, at once. */
interface ManyReader {
  readMany(): ManyResult | Promise<ManyResult>
}

interface ManyResult {
  done: boolean
  value: Uint8Array[]
}

/** Reads a stream of bytes; on Bun pieces that arrived together come together, elsewhere one by one. */
export function readChunks(stream: ReadableStream<Uint8Array>): ChunkReader {
  const reader = stream.getReader()
  return 'readMany' in reader ? new BatchChunkReader(reader) : new SingleChunkReader(reader)
}

class BatchChunkReader implements ChunkReader {
  readonly #reader: ManyReader

  constructor(reader: ManyReader) {
    this.#reader = reader
  }

  async read(): Promise<readonly Uint8Array[] | undefined> {
    for (;;) {
      const pending = this.#reader.readMany()
      const { done, value } = pending instanceof Promise ? await pending : pending
      // The last call may bring pieces and the end at once.
      if (value.length > 0) return value
      if (done) return undefined
    }
  }
}

class SingleChunkReader implements ChunkReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader
  }

  async read(): Promise<readonly Uint8Array[] | undefined> {
    const { done, value } = await this.#reader.read()
    return done ? undefined : [value]
  }
}
