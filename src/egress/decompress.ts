import { Readable, type Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import type { ChunkReader } from '../runtime/stream-chunks.ts'

/** Small, so that little is decompressed needlessly when reading stops. */
const options = { chunkSize: 65_536 }

const decompressors: Readonly<Record<string, () => Transform>> = {
  gzip: () => zlib.createGunzip(options),
  'x-gzip': () => zlib.createGunzip(options),
  deflate: () => zlib.createInflate(options),
  br: () => zlib.createBrotliDecompress(options),
  // Node has it from 22.15 on.
  ...('createZstdDecompress' in zlib && { zstd: () => zlib.createZstdDecompress(options) }),
}

/** `accept-encoding` of a request whose response may be compressed: fetch does not set it. */
export const acceptEncoding = Object.keys(decompressors)
  .filter((coding) => coding !== 'x-gzip')
  .join(', ')

/** Whether a `content-encoding` says that a body must be unpacked. */
export function isCompressed(encoding: string | null): encoding is string {
  return encoding !== null && codingsOf(encoding).length > 0
}

/**
 * Unpacks a body while it is read, and no further: fetch's own unpacking runs ahead of its reader, so that some hundred bytes, well packed, take seconds
 * and gigabytes. Failures are the reader's own, or zlib's. An unknown encoding is left as it is.
 */
export function decompress(reader: ChunkReader, encoding: string): ChunkReader {
  const codings = codingsOf(encoding)
  if (!codings.every((coding) => Object.hasOwn(decompressors, coding))) return reader
  return new DecompressingReader(
    reader,
    codings.toReversed().map((coding) => (decompressors[coding] as () => Transform)()),
  )
}

/** In the order in which they were applied. */
function codingsOf(encoding: string): string[] {
  return encoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
}

class DecompressingReader implements ChunkReader {
  readonly #streams: readonly (Readable | Transform)[]
  readonly #pieces: AsyncIterator<Uint8Array>

  constructor(reader: ChunkReader, steps: readonly Transform[]) {
    const source = Readable.from(piecesOf(reader), { objectMode: false, highWaterMark: 65_536 })
    this.#streams = [source, ...steps]
    let last: Readable = source
    for (const step of steps) {
      // A failure of the source must reach the reader.
      last.on('error', (error) => step.destroy(error))
      last = last.pipe(step)
    }
    this.#pieces = last[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  }

  async read(): Promise<readonly Uint8Array[] | undefined> {
    const { done, value } = await this.#pieces.next()
    return done ? undefined : [value]
  }

  close(): void {
    for (const stream of this.#streams) stream.destroy()
  }
}

async function* piecesOf(reader: ChunkReader): AsyncGenerator<Uint8Array> {
  for (let pieces = await reader.read(); pieces; pieces = await reader.read()) yield* pieces
}
