const decoder = new TextDecoder()
const key = Buffer.from('"finish_reason"')
/** They are single words. */
const longest = 64

/**
 * The first finish reason in the JSON of choices that is a text; undefined where there is none, or it is null. Looks at bytes only: within a text the
 * quotes of the key would be escaped.
 */
export function finishReasonIn(choices: Uint8Array): string | undefined {
  const view = Buffer.from(choices.buffer, choices.byteOffset, choices.byteLength)
  for (let found = view.indexOf(key); found >= 0; found = view.indexOf(key, found + key.length)) {
    let at = found + key.length
    while (isBlankOrColon(view[at])) at += 1
    if (view[at] !== 0x22) continue
    const end = view.indexOf(0x22, at + 1)
    if (end > at + 1 && end - at <= longest) return decoder.decode(view.subarray(at + 1, end))
  }
  return undefined
}

function isBlankOrColon(byte: number | undefined): boolean {
  return byte === 0x3a || byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}
