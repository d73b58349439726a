import { type ApiError, invalidRequest, shortened } from '../errors.ts'
import type { Outline } from '../wire/json-outline.ts'
import { decodeText } from '../wire/decode-text.ts'
import { closingQuote, isFollowedByColon, type Members } from '../wire/json-scan.ts'

/**
 * One form for all that some JSON reader accepts for the same name. Go's encoding/json ignores case by Unicode's folding (`ſ` is s, `K` is k);
 * its second version, as an option, and readers of protobuf's JSON accept `maxTokens` for `max_tokens` as well. The form is the widest of
 * these.
 */
function folded(key: string): string {
  return key
    .toUpperCase()
    .toLowerCase()
    .replaceAll(/[_-]|\u0307/g, '')
}

/**
 * Top-level fields of a request by which policies, limits, prices and the relay decide. The upstream must read the values that they read: so each
 * may be there once, in no other spelling, and with no repeated members within.
 */
export class GovernedFields {
  readonly #names: ReadonlySet<string>
  readonly #byFolded: ReadonlyMap<string, string>
  /** By byte: an ASCII letter or digit with which no spelling of a governed field begins. */
  readonly #cannotBegin: Uint8Array

  constructor(names: readonly string[]) {
    this.#names = new Set(names)
    this.#byFolded = new Map(names.map((name) => [folded(name), name]))
    const initials = new Set(names.map((name) => name[0]))
    this.#cannotBegin = Uint8Array.from({ length: 256 }, (_, byte) => {
      const character = String.fromCharCode(byte)
      return /^[a-z0-9]$/i.test(character) && !initials.has(character.toLowerCase()) ? 1 : 0
    })
  }

  /** Throws ApiError 400 where some reader could read other values than `value`, which is that of the valid JSON `bytes`. */
  check(value: unknown, bytes: Uint8Array, outline: Outline): void {
    this.#rejectAmbiguous(bytes, outline.top)
    this.#rejectRepeatedMembers(value, bytes, outline)
  }

  #rejectAmbiguous(bytes: Uint8Array, members: Members): void {
    const seen: string[] = []
    for (let member = 0; member < members.count; member++) {
      const start = members.at[member * 4] as number
      const end = members.at[member * 4 + 1] as number
      if (end === start || this.#cannotBegin[bytes[start] as number] === 1) continue
      const key = decoded(bytes, start, end)
      if (this.#names.has(key)) {
        if (seen.includes(key)) throw ambiguous(key, `Duplicate field '${key}' in the request body.`)
        seen.push(key)
        continue
      }
      const meant = this.#byFolded.get(folded(key))
      if (meant !== undefined) {
        throw ambiguous(
          meant,
          `The field '${shortened(key)}' is ambiguous: it can be read as '${meant}'. Use exactly '${meant}', or remove it.`,
        )
      }
    }
  }

  /** JSON.parse takes the last of repeated members, some readers the first. */
  #rejectRepeatedMembers(value: unknown, bytes: Uint8Array, { top, nested }: Outline): void {
    // Nearly always it is enough to count.
    for (let member = 0; member < top.count; member++) {
      if (nested[member] === 0) continue
      const field = this.#fieldAt(bytes, top.at[member * 4] as number, top.at[member * 4 + 1] as number)
      if (field === undefined || countMembers((value as Record<string, unknown>)[field]) === nested[member]) continue
      const repeated = this.#firstRepeated(bytes)
      if (!repeated) continue
      throw ambiguous(repeated.field, `Duplicate field '${shortened(repeated.name)}' in an object in '${repeated.field}'.`)
    }
  }

  /** The governed field whose name is there in valid JSON, without its quotes; undefined for every other name. */
  #fieldAt(bytes: Uint8Array, start: number, end: number): string | undefined {
    if (this.#cannotBegin[bytes[start] as number] === 1) return undefined
    const name = decoded(bytes, start, end)
    return this.#names.has(name) ? name : undefined
  }

  /** Looks into governed fields alone: elsewhere there may be millions of names, and only brackets and strings are skipped. */
  #firstRepeated(bytes: Uint8Array): { field: string; name: string } | undefined {
    let depth = 0
    // The governed field that is being read.
    let field: string | undefined
    // The names seen in each object that is open within it; of arrays nothing.
    const open: (Set<string> | undefined)[] = []
    for (let at = 0; at < bytes.length; at++) {
      switch (bytes[at]) {
        case 0x22: {
          const start = at + 1
          at = closingQuote(bytes, start)
          if (depth === 1) {
            if (isFollowedByColon(bytes, at + 1)) field = this.#fieldAt(bytes, start, at)
          } else if (field !== undefined && isFollowedByColon(bytes, at + 1)) {
            const name = decoded(bytes, start, at)
            const seen = open.at(-1)
            if (seen?.has(name)) return { field, name }
            seen?.add(name)
          }
          break
        }
        case 0x7b:
          depth++
          if (field !== undefined) open.push(new Set())
          break
        case 0x5b:
          depth++
          if (field !== undefined) open.push(undefined)
          break
        case 0x7d:
        case 0x5d:
          depth--
          if (field !== undefined) open.pop()
          break
      }
    }
    return undefined
  }
}

/** Members of all objects in a value. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (typeof item === 'object') count += countMembers(item)
    return count
  }
  const fields = value as Record<string, unknown>
  for (const name in fields) {
    count++
    const field = fields[name]
    if (typeof field === 'object') count += countMembers(field)
  }
  return count
}

/** The value of a string in valid JSON, without its quotes. */
function decoded(bytes: Uint8Array, start: number, end: number): string {
  const text = decodeText(bytes, start, end)
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text
}

function ambiguous(param: string, message: string): ApiError {
  return invalidRequest(message, { code: 'ambiguous_field', param })
}
