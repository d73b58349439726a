export const quote = 0x22
const backslash = 0x5c
export const comma = 0x2c
export const colon = 0x3a
export const openBrace = 0x7b
export const closeBrace = 0x7d
export const openBracket = 0x5b
export const closeBracket = 0x5d

/** Where the members of one JSON object are in its bytes. Filled by `scanObject`; one can be filled again and again. */
export class Members {
  /** Four numbers a member: its key's first byte and its end (both quotes left out), its value's first byte and its end. */
  readonly at: number[] = []
  count = 0
  /** Just after the opening brace. */
  open = 0
  /** At the closing brace. */
  close = 0
  /** Some key is written with escapes: comparing bytes is then not enough. */
  escapedKeys = false

  /** The number of the last member of this name, as JSON.parse takes the last; -1 when there is none. */
  find(bytes: Uint8Array, key: Uint8Array): number {
    for (let member = this.count - 1; member >= 0; member -= 1) if (this.isNamed(member, bytes, key)) return member
    return -1
  }

  isNamed(member: number, bytes: Uint8Array, key: Uint8Array): boolean {
    const start = this.at[member * 4] as number
    const end = this.at[member * 4 + 1] as number
    if (end - start === key.length && equalBytes(bytes, start, key)) return true
    return this.escapedKeys && unescaped(bytes, start, end) === decoder.decode(key)
  }

  /** Whether a member's value is written as `json`. */
  hasValue(member: number, bytes: Uint8Array, json: Uint8Array): boolean {
    return this.valueEnd(member) - this.valueStart(member) === json.length && equalBytes(bytes, this.valueStart(member), json)
  }

  valueStart(member: number): number {
    return this.at[member * 4 + 2] as number
  }

  valueEnd(member: number): number {
    return this.at[member * 4 + 3] as number
  }
}

const decoder = new TextDecoder()

function unescaped(bytes: Uint8Array, start: number, end: number): string {
  return JSON.parse(decoder.decode(bytes.subarray(start - 1, end + 1))) as string
}

/** Max nesting of a member's value. JSON.parse takes far more, but JSON.stringify then blocks for seconds before its stack overflows. */
export const maxDepth = 1_000

/**
 * Checks that the bytes from `from` to `to` are one JSON object (white space around it is fine) and records where its members are. Takes exactly
 * what JSON.parse takes up to `maxDepth`, in one pass, without recursion. False when they are anything else; `members` then holds nothing of use.
 */
export function scanObject(bytes: Uint8Array, from: number, to: number, members: Members): boolean {
  const end = readObject(bytes, skipSpace(bytes, from), members, false)
  return end >= 0 && end <= to && skipSpace(bytes, end) >= to
}

/** Records where the members of the object at `at` are, in JSON that `scanObject` has accepted; returns where the object ends. */
export function findMembers(bytes: Uint8Array, at: number, members: Members): number {
  return readObject(bytes, at, members, true)
}

function readObject(bytes: Uint8Array, start: number, members: Members, isAccepted: boolean): number {
  members.count = 0
  members.escapedKeys = false
  if (bytes[start] !== openBrace) return -1
  members.open = start + 1
  let key = skipSpace(bytes, start + 1)
  if (bytes[key] === closeBrace) {
    members.close = key
    return key + 1
  }
  const { at } = members
  for (let slot = 0; ; slot += 4) {
    if (bytes[key] !== quote) return -1
    const afterKey = endOfString(bytes, key + 1)
    if (afterKey < 0) return -1
    const colonAt = skipSpace(bytes, afterKey)
    if (bytes[colonAt] !== colon) return -1
    const valueStart = skipSpace(bytes, colonAt + 1)
    const valueEnd = isAccepted ? skipValue(bytes, valueStart) : endOfValue(bytes, valueStart)
    if (valueEnd < 0) return -1
    if (hasBackslash(bytes, key + 1, afterKey - 1)) members.escapedKeys = true
    at[slot] = key + 1
    at[slot + 1] = afterKey - 1
    at[slot + 2] = valueStart
    at[slot + 3] = valueEnd
    members.count += 1
    const next = skipSpace(bytes, valueEnd)
    if (bytes[next] !== comma) {
      members.close = next
      return bytes[next] === closeBrace ? next + 1 : -1
    }
    key = skipSpace(bytes, next + 1)
  }
}

/**
 * Calls `visit` with the start of each item of the array at `at` and its position, until it returns false; false when it did. For JSON that `scanObject`
 * has accepted.
 */
export function visitItems(bytes: Uint8Array, at: number, visit: (start: number, position: number) => boolean): boolean {
  let next = skipSpace(bytes, at + 1)
  for (let position = 0; bytes[next] !== closeBracket; position += 1) {
    if (!visit(next, position)) return false
    next = skipSpace(bytes, skipValue(bytes, next))
    if (bytes[next] === comma) next = skipSpace(bytes, next + 1)
  }
  return true
}

/** Of names and ids: frames have few other strings. */
const shortInReplies = 32

/** The end of the value at `at` in JSON that `scanObject` has accepted: containers and strings are not validated again. */
export function skipValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first === quote) return closingQuote(bytes, at + 1, shortInReplies) + 1
  if (first !== openBrace && first !== openBracket) return endOfScalar(bytes, at)
  let depth = 0
  for (let index = at; ; index += 1) {
    const byte = bytes[index]
    if (byte === quote) index = closingQuote(bytes, index + 1, shortInReplies)
    else if (byte === openBrace || byte === openBracket) depth += 1
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return index + 1
  }
}

/** The end of the value that begins at `from` (no white space before it); -1 when it is not well-formed. */
export function endOfValue(bytes: Uint8Array, from: number): number {
  const byte = bytes[from]
  if (byte === quote) return endOfString(bytes, from + 1)
  return byte === openBrace || byte === openBracket ? endOfContainer(bytes, from) : endOfScalar(bytes, from)
}

function endOfContainer(bytes: Uint8Array, from: number): number {
  const containers = new Nesting()
  let index = from
  for (;;) {
    const byte = bytes[index] as number
    if (byte === quote) {
      index = endOfString(bytes, index + 1)
    } else if (byte === openBrace || byte === openBracket) {
      const isObject = byte === openBrace
      index = skipSpace(bytes, index + 1)
      if (bytes[index] !== (isObject ? closeBrace : closeBracket)) {
        if (containers.depth === maxDepth) return -1
        containers.enter(isObject)
        index = isObject ? endOfKey(bytes, index) : index
        if (index < 0) return -1
        continue
      }
      index += 1
    } else {
      index = endOfScalar(bytes, index)
    }
    if (index < 0) return -1
    for (;;) {
      if (containers.depth === 0) return index
      index = skipSpace(bytes, index)
      const isObject = containers.inObject()
      const after = bytes[index]
      index += 1
      if (after === comma) {
        index = isObject ? endOfKey(bytes, skipSpace(bytes, index)) : skipSpace(bytes, index)
        if (index < 0) return -1
        break
      }
      if (after !== (isObject ? closeBrace : closeBracket)) return -1
      containers.leave()
    }
  }
}

/** From a key's opening quote to the start of its value. */
function endOfKey(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== quote) return -1
  const end = endOfString(bytes, at + 1)
  if (end < 0) return -1
  const colonAt = skipSpace(bytes, end)
  return bytes[colonAt] === colon ? skipSpace(bytes, colonAt + 1) : -1
}

/** Which containers are open: a bit each for the first thirty, an array for what lies deeper. */
class Nesting {
  depth = 0
  #bits = 0
  #deep: boolean[] | undefined

  enter(isObject: boolean): void {
    if (this.depth < 30) this.#bits = isObject ? this.#bits | (1 << this.depth) : this.#bits & ~(1 << this.depth)
    else (this.#deep ??= [])[this.depth - 30] = isObject
    this.depth += 1
  }

  leave(): void {
    this.depth -= 1
  }

  inObject(): boolean {
    const top = this.depth - 1
    return top < 30 ? (this.#bits & (1 << top)) !== 0 : this.#deep?.[top - 30] === true
  }
}

// The lexical rules of JSON. They may be given a place behind the end: reading there gives undefined, which fits nothing.

export function skipSpace(bytes: Uint8Array, from: number): number {
  let index = from
  for (;;) {
    const byte = bytes[index] as number
    if (byte > 0x20 || !(byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)) return index
    index += 1
  }
}

export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

export function isFollowedByColon(bytes: Uint8Array, from: number): boolean {
  return bytes[skipSpace(bytes, from)] === colon
}

export function hasBackslash(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) if (bytes[index] === backslash) return true
  return false
}

/** Whether `bytes` says `what` from `start` on. */
export function equalBytes(bytes: Uint8Array, start: number, what: Uint8Array): boolean {
  for (let index = 0; index < what.length; index += 1) if (bytes[start + index] !== what[index]) return false
  return true
}

/** Validates a string: `from` is after the opening quote, the result after the closing one; -1 when the string is not well-formed. */
export function endOfString(bytes: Uint8Array, from: number): number {
  let index = from
  for (;;) {
    const byte = bytes[index] as number
    index += 1
    if (byte === quote) return index
    if (byte === backslash) {
      index = endOfEscape(bytes, index)
      if (index < 0) return -1
    } else if (!(byte >= 0x20)) {
      return -1
    }
  }
}

function endOfEscape(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 1
    case 0x75: // u
      for (let index = at + 1; index < at + 5; index += 1) if (!isHexDigit(bytes[index] as number)) return -1
      return at + 5
    default:
      return -1
  }
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/**
 * Validates nothing: the place of the quote that ends the string whose content begins at `from`, or the end of the bytes. A native search is worth its call
 * for strings longer than `short`.
 */
export function closingQuote(bytes: Uint8Array, from: number, short = 12): number {
  let index = from
  for (const near = Math.min(bytes.length, from + short); index < near; index += 1) {
    if (bytes[index] === quote) return index
    if (bytes[index] === backslash) index += 1
  }
  return closingQuoteBeyond(bytes, index)
}

function closingQuoteBeyond(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(quote, from); at >= 0; at = bytes.indexOf(quote, at + 1)) {
    let start = at
    while (start > from && bytes[start - 1] === backslash) start -= 1
    if ((at - start) % 2 === 0) return at
  }
  return bytes.length
}

/** Validates a number, true, false or null. */
function endOfScalar(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case 0x74:
      return endOfWord(bytes, at, words.true)
    case 0x66:
      return endOfWord(bytes, at, words.false)
    case 0x6e:
      return endOfWord(bytes, at, words.null)
    default:
      return endOfNumber(bytes, at)
  }
}

const encoder = new TextEncoder()
const words = { true: encoder.encode('true'), false: encoder.encode('false'), null: encoder.encode('null') }

function endOfWord(bytes: Uint8Array, at: number, word: Uint8Array): number {
  return equalBytes(bytes, at, word) ? at + word.length : -1
}

function endOfNumber(bytes: Uint8Array, at: number): number {
  let index = bytes[at] === 0x2d ? at + 1 : at
  if (bytes[index] === 0x30) index += 1
  else index = endOfDigits(bytes, index)
  if (index >= 0 && bytes[index] === 0x2e) index = endOfDigits(bytes, index + 1)
  if (index >= 0 && ((bytes[index] as number) | 0x20) === 0x65) {
    const sign = bytes[index + 1]
    index = endOfDigits(bytes, sign === 0x2b || sign === 0x2d ? index + 2 : index + 1)
  }
  return index
}

/** One digit at least. */
function endOfDigits(bytes: Uint8Array, at: number): number {
  let index = at
  while (isDigit(bytes[index] as number)) index += 1
  return index > at ? index : -1
}
