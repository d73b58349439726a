import {
  closeBrace,
  closeBracket,
  closingQuote,
  colon,
  comma,
  hasBackslash,
  isSpace,
  Members,
  openBrace,
  openBracket,
  quote,
  skipSpace,
} from './json-scan.ts'

export interface OutlineLimits {
  /** Deepest nesting of objects and arrays. */
  readonly depth: number
  /** Members of all objects together. */
  readonly members: number
}

/** What the bytes of one JSON text hold, found without parsing it. Of use where the text is valid JSON, which JSON.parse decides. */
export interface Outline {
  /** The members of the outermost object; none where the outermost value is something else. */
  readonly top: Members
  /** For each member of the outermost object, the members of all objects within its value. */
  readonly nested: readonly number[]
  /** The limit that the text exceeds; the scan ended there. */
  readonly exceeded?: keyof OutlineLimits
}

/**
 * Finds the members of the outermost object, counts those of all others, and ends at the first that exceeds a limit. One pass, without recursion;
 * strings and long runs of numbers are skipped by native search. Takes any bytes: nothing is validated.
 */
export function outlineOf(json: Uint8Array, limits: OutlineLimits): Outline {
  const top = new Members()
  const search = new StructureSearch(json)
  let depth = 0
  let inObject = false
  const nested: number[] = []
  let colons = 0
  /** After the last byte that structures the text. */
  let plainStart = 0
  const { length } = json
  for (let at = 0; at < length; at++) {
    const byte = json[at] as number
    if (structural[byte] === 0) {
      // So many plain bytes in a row are likely numbers, with more to come.
      if (at - plainStart >= 8 && depth > 1) at = search.next(at + 1) - 1
      continue
    }
    if (byte === quote) {
      const start = at + 1
      at = closingQuote(json, start)
      if (depth === 1 && inObject) {
        const colonAt = skipSpace(json, at + 1)
        if (json[colonAt] === colon) {
          addMember(top, json, { start, end: at, colonAt })
          nested.push(colons)
        }
      }
    } else if (byte === colon) {
      if (++colons > limits.members) return { top, nested: [], exceeded: 'members' }
    } else if (byte === openBrace || byte === openBracket) {
      if (++depth > limits.depth) return { top, nested: [], exceeded: 'depth' }
      if (depth === 1) {
        inObject = byte === openBrace
        top.open = at + 1
      }
    } else if (depth-- === 1 && inObject) {
      endMembers(top, json, at)
    }
    plainStart = at + 1
  }
  // So far the number of colons before each member; its own is not among those within its value.
  for (let member = 0; member < nested.length; member++) nested[member] = (nested[member + 1] ?? colons) - (nested[member] as number) - 1
  return { top, nested }
}

const unlimited: OutlineLimits = { depth: Infinity, members: Infinity }

/** The members of the outermost object of a text whose outline is not known. */
export function topMembersOf(json: Uint8Array): Members {
  return outlineOf(json, unlimited).top
}

/** A key of the outermost object: quotes left out. */
interface Key {
  readonly start: number
  readonly end: number
  readonly colonAt: number
}

function addMember(top: Members, json: Uint8Array, { start, end, colonAt }: Key): void {
  if (top.count > 0) endValue(top, json, start - 1)
  if (hasBackslash(json, start, end)) top.escapedKeys = true
  top.at.push(start, end, skipSpace(json, colonAt + 1), 0)
  top.count++
}

/** `before`: where the next key or the closing brace is. Between them and the value are white space and at most one comma. */
function endValue(top: Members, json: Uint8Array, before: number): void {
  let end = before
  while (isSpace(json[end - 1]) || json[end - 1] === comma) end--
  top.at[top.count * 4 - 1] = end
}

function endMembers(top: Members, json: Uint8Array, close: number): void {
  if (top.count > 0) endValue(top, json, close)
  top.close = close
}

/** By byte: whether it begins or ends a string, an object or an array, or separates a key from its value. */
const structural = Uint8Array.from({ length: 256 }, (_, byte) => ('"{}[]:'.includes(String.fromCharCode(byte)) ? 1 : 0))

/** Finds the next byte that structures the text: a native search for each kind, repeated only once the scan has passed what it found. */
class StructureSearch {
  readonly #json: Uint8Array
  readonly #kinds = [quote, openBrace, closeBrace, openBracket, closeBracket]
  /** Where the next of each kind is; -1: not looked for yet. */
  readonly #found = [-1, -1, -1, -1, -1]

  constructor(json: Uint8Array) {
    this.#json = json
  }

  next(from: number): number {
    // Most runs are short.
    const near = Math.min(this.#json.length, from + 24)
    for (let at = from; at < near; at++) if (structural[this.#json[at] as number] === 1) return at
    let nearest = this.#json.length
    for (let kind = 0; kind < 5; kind++) {
      let found = this.#found[kind] as number
      if (found < near) {
        found = this.#json.indexOf(this.#kinds[kind] as number, near)
        if (found < 0) found = this.#json.length
        this.#found[kind] = found
      }
      if (found < nearest) nearest = found
    }
    return nearest
  }
}
