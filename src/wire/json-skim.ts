import type { Members } from './json-scan.ts'

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

// For JSON that `scanObject` has accepted: nothing is checked again, and long strings are skipped by a native search.

/** Records where the members of the object at `at` are; returns where it ends. */
export function skimObject(bytes: Uint8Array, at: number, members: Members): number {
  members.count = 0
  members.escapedKeys = false
  members.open = at + 1
  let next = skipSpace(bytes, at + 1)
  while (bytes[next] !== closeBrace) {
    const keyEnd = endOfString(bytes, next + 1)
    const valueStart = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1)
    const valueEnd = skimValue(bytes, valueStart)
    members.at[members.count * 4] = next + 1
    members.at[members.count * 4 + 1] = keyEnd - 1
    members.at[members.count * 4 + 2] = valueStart
    members.at[members.count * 4 + 3] = valueEnd
    members.count += 1
    for (let index = next + 1; index < keyEnd - 1; index += 1) if (bytes[index] === backslash) members.escapedKeys = true
    next = skipSpace(bytes, valueEnd)
    if (bytes[next] === comma) next = skipSpace(bytes, next + 1)
  }
  members.close = next
  return next + 1
}

/** Calls `visit` with the start of each item of the array at `at` and its position, until it returns false; false when it did. */
export function skimArray(bytes: Uint8Array, at: number, visit: (start: number, position: number) => boolean): boolean {
  let next = skipSpace(bytes, at + 1)
  for (let position = 0; bytes[next] !== closeBracket; position += 1) {
    if (!visit(next, position)) return false
    next = skipSpace(bytes, skimValue(bytes, next))
    if (bytes[next] === comma) next = skipSpace(bytes, next + 1)
  }
  return true
}

/** The end of the value at `at`. */
export function skimValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first === quote) return endOfString(bytes, at + 1)
  if (first !== openBrace && first !== openBracket) return endOfScalar(bytes, at)
  let depth = 0
  for (let index = at; ; index += 1) {
    const byte = bytes[index]
    if (byte === quote) index = endOfString(bytes, index + 1) - 1
    else if (byte === openBrace || byte === openBracket) depth += 1
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return index + 1
  }
}

function endOfScalar(bytes: Uint8Array, at: number): number {
  let index = at
  for (;;) {
    const byte = bytes[index] as number
    // Within a number or a word there is neither white space nor punctuation of these kinds.
    if (byte <= 0x20 || byte === comma || byte === closeBrace || byte === closeBracket) return index
    index += 1
  }
}

/** Short strings are most; a native search is worth its call beyond them. */
const shortString = 32

/** `from` is after the opening quote, the result after the closing one. */
function endOfString(bytes: Uint8Array, from: number): number {
  let index = from
  for (const end = from + shortString; index < end; index += 1) {
    const byte = bytes[index]
    if (byte === quote) return index + 1
    if (byte === backslash) index += 1
  }
  for (;;) {
    const close = bytes.indexOf(quote, index)
    let slashes = 0
    while (close - slashes > index && bytes[close - slashes - 1] === backslash) slashes += 1
    if (slashes % 2 === 0) return close + 1
    index = close + 1
  }
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let index = from
  while ((bytes[index] as number) <= 0x20) index += 1
  return index
}
