import { decodeText } from '../../wire/decode-text.ts'
import { quote } from '../../wire/json-scan.ts'

/** Whether a JSON text that is not empty begins at `at`. */
export function isText(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === quote && bytes[at + 1] !== quote
}

/** Whether a JSON value is a time in whole seconds after 1970. */
export function isTimestampAt(bytes: Uint8Array, start: number, end: number): boolean {
  return /^[1-9]\d{0,14}$/.test(decodeText(bytes, start, end))
}

/** An `index`: a whole number from 0 on, also one that is written as a text; undefined when the value is anything else. */
export function indexIn(bytes: Uint8Array, start: number, end: number): number | undefined {
  const first = bytes[start] as number
  if (end - start === 1) return first >= 0x30 && first <= 0x39 ? first - 0x30 : undefined
  const isQuoted = first === quote
  const text = isQuoted ? decodeText(bytes, start + 1, end - 1) : decodeText(bytes, start, end)
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}
