/** A pause in a response: so many milliseconds, until a promise settles, or for good (until the client leaves or the mock is disposed). */
export type Pause = { wait: number } | { until: Promise<unknown> } | { stall: true }

export const stall: Pause = { stall: true }

/** The response to one request, byte by byte. */
export interface Script {
  /** Default 200. */
  status?: number
  /** Lower-case names. `content-type` defaults to JSON for a whole body and to `text/event-stream` for pieces. */
  headers?: Record<string, string>
  /** Before the head. */
  before?: Pause
  /** One body with its `content-length`, or pieces: each a write (and an HTTP chunk) of its own, with pauses between. */
  body?: string | Uint8Array | readonly (string | Uint8Array | Pause)[]
  /**
   * After the body. `whole` (default) ends the message as HTTP wants it and keeps the connection; `cut` closes the connection (FIN) without the
   * terminator that HTTP needs; `reset` sends RST; `stall` says nothing more.
   */
  end?: 'whole' | 'cut' | 'reset' | 'stall'
  /** Nothing but these bytes is sent, head included. */
  raw?: Uint8Array | string
}

/** The connection is reset before any response. */
export const resetBeforeHead: Script = { raw: '', end: 'reset' }

/** The connection is closed before any response. */
export const closeBeforeHead: Script = { raw: '', end: 'cut' }

/** The request is taken and nothing is said. */
export const stallBeforeHead: Script = { before: stall }

/** The whole message as one write, for a body that is not in pieces. */
export function headOf(script: Script): string {
  const pieces = Array.isArray(script.body)
  const status = script.status ?? 200
  const headers: Record<string, string> = { 'content-type': pieces ? 'text/event-stream' : 'application/json', ...script.headers }
  if (pieces) headers['transfer-encoding'] = 'chunked'
  else headers['content-length'] ??= String(Buffer.byteLength((script.body as string | Uint8Array | undefined) ?? ''))
  return `HTTP/1.1 ${status} ${status < 400 ? 'OK' : 'Failed'}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`
}

/** The bytes of a text, split before each of `at`: through the middle of a character too. */
export function splitAt(text: string | Uint8Array, ...at: number[]): Uint8Array[] {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  const edges = [0, ...at, bytes.length]
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
}
