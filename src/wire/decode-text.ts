const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The UTF-8 text between two places. Of a Buffer a quarter of what a view and a decoder cost, so what is looked into often should be one. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.isBuffer(bytes) ? bytes.toString('utf8', start, end) : decoder.decode(bytes.subarray(start, end))
}
