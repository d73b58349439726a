import type { EgressBody } from '../../egress/egress.ts'

/** The kind of a body, judged by its first bytes; its `content-type` is not considered. */
type BodyKind = 'events' | 'json' | 'html' | 'text' | 'empty'

/** Bytes that are examined after leading white space. */
const examinedBytes = 16
/** White space before a body; some servers send it to keep a connection alive. */
const maxBlank = 65_536
/** Lines of an event stream begin with one of these fields, or with a colon. */
const eventField = /^(?:data|event|id|retry)(?:[:\r\n]|$)/
const someEventField = ['data:', 'event:', 'id:', 'retry:']

/** Returns undefined where more bytes are needed. `isWhole`: `bytes` is the whole body. */
export function kindOf(bytes: Uint8Array, isWhole: boolean): BodyKind | undefined {
  let start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  while ((bytes[start] ?? 0x21) <= 0x20) start += 1
  if (start >= bytes.length) return isWhole ? 'empty' : start > maxBlank ? 'text' : undefined
  const first = bytes[start]
  if (first === 0x7b || first === 0x5b) return 'json'
  if (first === 0x3c) return 'html'
  if (first === 0x3a) return 'events'
  const text = Buffer.from(bytes.subarray(start, start + examinedBytes)).toString('latin1')
  if (!isWhole && someEventField.some((field) => field.length > text.length && field.startsWith(text))) return undefined
  return eventField.test(text) ? 'events' : 'text'
}

/** Reads a body until its kind is known; `content` is the body from its start. */
export async function detectKind(content: EgressBody): Promise<{ kind: BodyKind; content: EgressBody }> {
  const pieces: Uint8Array[] = []
  for (;;) {
    const read = await content.read()
    if (read) pieces.push(...read)
    // The first piece is nearly always enough.
    const bytes = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)
    const kind = kindOf(bytes, read === undefined)
    if (kind !== undefined) return { kind, content: new PartlyReadBody(pieces, content) }
  }
}

/** A body of which some pieces were read already. */
class PartlyReadBody implements EgressBody {
  #pieces: readonly Uint8Array[]
  readonly #rest: EgressBody

  constructor(pieces: readonly Uint8Array[], rest: EgressBody) {
    this.#pieces = pieces
    this.#rest = rest
  }

  read(): Promise<readonly Uint8Array[] | undefined> {
    const pieces = this.#pieces
    if (pieces.length === 0) return this.#rest.read()
    this.#pieces = []
    return Promise.resolve(pieces)
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const pieces = this.#pieces
    this.#pieces = []
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
    return Buffer.concat([...pieces, await this.#rest.bytes(Math.max(limit - size, 0))])
  }

  cancel(): void {
    this.#pieces = []
    this.#rest.cancel()
  }

  drain(): void {
    this.#rest.drain()
  }
}

/** A body whose bytes are all in memory. */
export function bodyOf(bytes: Uint8Array): EgressBody {
  const ended: EgressBody = {
    read: () => Promise.resolve(undefined),
    bytes: () => Promise.resolve(new Uint8Array()),
    cancel: () => undefined,
    drain: () => undefined,
  }
  return new PartlyReadBody(bytes.length > 0 ? [bytes] : [], ended)
}
