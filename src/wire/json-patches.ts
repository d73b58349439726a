import { findMembers, Members } from './json-scan.ts'

/** Where patched bytes go: `ByteWriter` and `Splice`. */
interface ByteSink {
  add(source: Uint8Array, start?: number, end?: number): void
}

const encoder = new TextEncoder()
const nothing = new Uint8Array()
const comma = encoder.encode(',')

/** Replacements in one piece of JSON, sorted by position, in any order of calls. They must not overlap. */
export class JsonPatches {
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  readonly #values: Uint8Array[] = []
  #count = 0

  clear(): void {
    this.#count = 0
  }

  /** Puts `value` in the place of the bytes from `start` to `end`; of several insertions at one place the first made comes first. */
  replace(start: number, end: number, value: Uint8Array): void {
    let at = this.#count
    while (at > 0 && (this.#starts[at - 1] as number) > start) {
      this.#starts[at] = this.#starts[at - 1] as number
      this.#ends[at] = this.#ends[at - 1] as number
      this.#values[at] = this.#values[at - 1] as Uint8Array
      at -= 1
    }
    this.#starts[at] = start
    this.#ends[at] = end
    this.#values[at] = value
    this.#count += 1
  }

  /** Writes the bytes from `from` to the last patch's end, patched; returns where that is. */
  write(out: ByteSink, bytes: Uint8Array, from: number): number {
    let at = from
    for (let patch = 0; patch < this.#count; patch += 1) {
      const start = this.#starts[patch] as number
      if (start > at) out.add(bytes, at, start)
      const value = this.#values[patch] as Uint8Array
      if (value.length > 0) out.add(value)
      at = this.#ends[patch] as number
    }
    return at
  }
}

/** Patches the members of one JSON object after another; the bytes are well-formed. */
export class ObjectPatcher {
  readonly members = new Members()
  bytes: Uint8Array = nothing
  readonly #patches: JsonPatches
  #inserted = ''
  #removed: number[] = []

  constructor(patches: JsonPatches) {
    this.#patches = patches
  }

  /** Looks at the object at `at`. */
  enter(bytes: Uint8Array, at: number): void {
    this.bytes = bytes
    this.#inserted = ''
    if (this.#removed.length > 0) this.#removed = []
    findMembers(bytes, at, this.members)
  }

  /** The number of the member of this name; -1 when there is none. */
  find(key: Uint8Array): number {
    return this.members.find(this.bytes, key)
  }

  valueStart(member: number): number {
    return this.members.valueStart(member)
  }

  valueEnd(member: number): number {
    return this.members.valueEnd(member)
  }

  /** The first byte of a member's value; 0 when the member is -1. */
  firstByte(member: number): number {
    return member < 0 ? 0 : (this.bytes[this.members.valueStart(member)] as number)
  }

  /** Gives a member the value `json`, or adds it where `member` is -1. */
  set(member: number, name: string, json: string): void {
    if (member >= 0) this.#patches.replace(this.valueStart(member), this.valueEnd(member), encoder.encode(json))
    else this.#inserted += `${this.#inserted === '' ? '' : ','}"${name}":${json}`
  }

  rename(member: number, name: Uint8Array): void {
    const { at } = this.members
    this.#patches.replace(at[member * 4] as number, at[member * 4 + 1] as number, name)
  }

  remove(member: number): void {
    this.#removed.push(member)
  }

  /** To be called once all is set: added members come first in the object. */
  leave(): void {
    const { members } = this
    const removed = this.#removed
    if (this.#inserted !== '') {
      this.#patches.replace(members.open, members.open, encoder.encode(this.#inserted))
      if (members.count > removed.length) this.#patches.replace(members.open, members.open, comma)
    }
    if (removed.length > 0) this.#removeMembers(removed.toSorted((a, b) => a - b))
  }

  /** Members at the object's end go with the comma before them, others with the one behind. */
  #removeMembers(removed: readonly number[]): void {
    const { members } = this
    let tail = members.count
    let left = removed.length
    for (; left > 0 && removed[left - 1] === tail - 1; left -= 1) tail -= 1
    for (const member of removed.slice(0, left)) this.#patches.replace(keyOf(members, member), keyOf(members, member + 1), nothing)
    if (tail === members.count) return
    const start = tail > 0 ? members.valueEnd(tail - 1) : members.open
    this.#patches.replace(start, members.valueEnd(members.count - 1), nothing)
  }
}

/** Where the opening quote of a member's key is. */
function keyOf(members: Members, member: number): number {
  return (members.at[member * 4] as number) - 1
}
