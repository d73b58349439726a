import { Members, scanObject } from './json-scan.ts'

const encoder = new TextEncoder()
const comma = encoder.encode(',')
const colon = encoder.encode(':')

/** What to do with top-level keys: the JSON to stand there, or undefined to take the key out. */
export type Edits = ReadonlyMap<string, Uint8Array | undefined>

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

/**
 * Sets and removes top-level members of a JSON object by splicing its bytes: what is not named stays as it was, to the byte. New members go to the end.
 * Where a key stands more than once its last place is kept and the others go, so that no reader can see an older value.
 * Throws SyntaxError when the bytes are no JSON object.
 */
export function editObject(bytes: Uint8Array, edits: Edits): Uint8Array {
  if (edits.size === 0) return bytes
  const members = new Members()
  if (!scanObject(bytes, 0, bytes.length, members)) throw new SyntaxError('The bytes are not a JSON object.')
  const names = [...edits].map(([name, value]) => ({ key: encodeJson(name), bare: encoder.encode(name), value, last: -1 }))
  for (const name of names) name.last = members.find(bytes, name.bare)

  const pieces: Uint8Array[] = [bytes.subarray(0, members.open)]
  let kept = 0
  // After the previous member of the original, kept or not: from there to the next key stand its comma and white space.
  let afterPrevious = members.open
  for (let member = 0; member < members.count; member += 1) {
    const keyStart = (members.at[member * 4] as number) - 1
    const valueStart = members.valueStart(member)
    const valueEnd = members.valueEnd(member)
    const name = names.find((candidate) => candidate.last >= 0 && members.isNamed(member, bytes, candidate.bare))
    if (!name || (name.last === member && name.value)) {
      pieces.push(bytes.subarray(kept ? afterPrevious : leadingSpaceStart(bytes, keyStart), keyStart))
      pieces.push(bytes.subarray(keyStart, valueStart), name?.value ?? bytes.subarray(valueStart, valueEnd))
      kept += 1
    }
    afterPrevious = valueEnd
  }
  for (const name of names) {
    if (name.last >= 0 || !name.value) continue
    if (kept) pieces.push(comma)
    pieces.push(name.key, colon, name.value)
    kept += 1
  }
  pieces.push(bytes.subarray(afterPrevious))
  return concat(pieces)
}

function leadingSpaceStart(bytes: Uint8Array, keyStart: number): number {
  let start = keyStart
  while (start > 0 && (bytes[start - 1] as number) <= 0x20) start -= 1
  return start
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const piece of pieces) length += piece.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
