import { topMembersOf } from './json-outline.ts'
import type { Members } from './json-scan.ts'

const encoder = new TextEncoder()
const comma = encoder.encode(',')
const colon = encoder.encode(':')

/** Edits by top-level key: its JSON value, or undefined to remove it. */
export type Edits = ReadonlyMap<string, Uint8Array | undefined>

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

/**
 * Sets and removes top-level members of a JSON object by splicing its bytes: what is not named stays as it was, to the byte. New members go to the end.
 * Of a repeated key the last place is kept and the others are removed, so that no reader can see an older value.
 * `bytes` must be valid JSON: they are not validated again. `known` are their members, where they have been found before. Throws SyntaxError when they are another value than an object.
 */
export function editObject(bytes: Uint8Array, edits: Edits, known?: Members): Uint8Array {
  if (edits.size === 0) return bytes
  const members = known ?? topMembersOf(bytes)
  if (members.close === 0) throw new SyntaxError('The bytes are not a JSON object.')
  const names = [...edits].map(([name, value]) => ({ key: name, bare: encoder.encode(name), value, last: -1 }))
  for (const name of names) name.last = members.find(bytes, name.bare)

  const out = new Splice()
  out.add(bytes, 0, members.open)
  let kept = 0
  // After the previous member of the original, kept or not: from there to the next key are its comma and white space.
  let afterPrevious = members.open
  for (let member = 0; member < members.count; member += 1) {
    const keyStart = (members.at[member * 4] as number) - 1
    const valueEnd = members.valueEnd(member)
    const name = names.find((candidate) => candidate.last >= 0 && members.isNamed(member, bytes, candidate.bare))
    if (!name || (name.last === member && name.value)) {
      out.add(bytes, kept ? afterPrevious : leadingSpaceStart(bytes, keyStart), keyStart)
      if (name?.value) {
        out.add(bytes, keyStart, members.valueStart(member))
        out.add(name.value)
      } else {
        out.add(bytes, keyStart, valueEnd)
      }
      kept += 1
    }
    afterPrevious = valueEnd
  }
  for (const name of names) {
    if (name.last >= 0 || !name.value) continue
    if (kept) out.add(comma)
    out.add(encodeJson(name.key))
    out.add(colon)
    out.add(name.value)
    kept += 1
  }
  out.add(bytes, afterPrevious, bytes.length)
  return out.join()
}

function leadingSpaceStart(bytes: Uint8Array, keyStart: number): number {
  let start = keyStart
  while (start > 0 && (bytes[start - 1] as number) <= 0x20) start -= 1
  return start
}

const { copy } = Buffer.prototype

/** Parts of arrays, to be joined into one: without a view for each part, which costs more than the copying. */
export class Splice {
  readonly #sources: Uint8Array[] = []
  readonly #edges: number[] = []
  #length = 0

  add(source: Uint8Array, start = 0, end = source.length): void {
    const last = this.#sources.length - 1
    this.#length += end - start
    // What goes on where the part before ended is one part with it.
    if (last >= 0 && this.#sources[last] === source && this.#edges[last * 2 + 1] === start) {
      this.#edges[last * 2 + 1] = end
      return
    }
    this.#sources.push(source)
    this.#edges.push(start, end)
  }

  join(): Uint8Array {
    const whole = Buffer.allocUnsafe(this.#length)
    let at = 0
    for (let part = 0; part < this.#sources.length; part += 1) {
      const start = this.#edges[part * 2] as number
      const end = this.#edges[part * 2 + 1] as number
      copy.call(this.#sources[part], whole, at, start, end)
      at += end - start
    }
    return whole
  }
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Splice()
  for (const piece of pieces) out.add(piece)
  return out.join()
}
