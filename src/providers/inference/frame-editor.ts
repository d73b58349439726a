import { ByteWriter } from '../../wire/byte-writer.ts'
import { encodeJson } from '../../wire/json-edit.ts'
import { equalBytes, Members, scanObject, scanRest } from '../../wire/json-scan.ts'

const encoder = new TextEncoder()
const keyId = encoder.encode('id')
const keyModel = encoder.encode('model')
const keyCreated = encoder.encode('created')
const keyUsage = encoder.encode('usage')
const keyError = encoder.encode('error')
const keyChoices = encoder.encode('choices')
const fieldId = encoder.encode('"id":')
const fieldCreated = encoder.encode('"created":')
const fieldModel = encoder.encode('"model":')
const dataOpen = encoder.encode('data: {')
const dataField = encoder.encode('data: ')
const frameEnd = encoder.encode('\n\n')
const comma = encoder.encode(',')
const newline = 0x0a

/** What the scan of one frame has found. A value's number is where it begins; 0 when it is absent or null. */
export interface FrameScan {
  usage: number
  usageEnd: number
  error: number
  choices: number
  choicesEnd: number
}

/**
 * Edits the frames of one stream: `id`, `created` and `model` stay for all of it what the first frame and the caller's request made them, all else passes
 * as it came. Most frames begin with the same bytes as the one before, up to the last of the three: that much is compared and written as a whole.
 */
export class FrameEditor implements FrameScan {
  usage = 0
  usageEnd = 0
  error = 0
  choices = 0
  choicesEnd = 0

  readonly #members = new Members()
  readonly #out = new ByteWriter()
  readonly #model: Uint8Array
  readonly #idPrefix: string
  #id: Uint8Array | undefined
  #created: Uint8Array | undefined
  /** The start of the last frame that had all three, and what was written for it. */
  #prefix: Uint8Array = new Uint8Array()
  #prefixEdited: Uint8Array = new Uint8Array()
  #hasPrefix = false
  #prefixTries = 8
  #bytes: Uint8Array = new Uint8Array()
  #start = 0
  #end = 0

  /** `model`: what the caller was told. `idPrefix`: how the id begins that a stream gets whose upstream has none. */
  constructor(model: string, idPrefix: string) {
    this.#model = encodeJson(model)
    this.#idPrefix = idPrefix
  }

  /** Room for about so many bytes of frames. */
  reserve(size: number): void {
    this.#out.reserve(size + 64)
  }

  get written(): number {
    return this.#out.length
  }

  take(): Uint8Array {
    return this.#out.take()
  }

  /** Looks at the JSON of one frame; false when it is not an object. */
  scan(bytes: Uint8Array, start: number, end: number): boolean {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#hasPrefix = this.#prefix.length > 0 && equalBytes(bytes, start, this.#prefix)
    if (this.#hasPrefix) {
      if (!scanRest(bytes, start + this.#prefix.length, end, this.#members)) return false
      if (this.#note()) return true
      this.#hasPrefix = false
    }
    if (!scanObject(bytes, start, end, this.#members)) return false
    this.#note()
    return true
  }

  /** Writes the frame that was scanned last. */
  write(): void {
    const out = this.#out
    if (this.#hasPrefix) {
      out.add(this.#prefixEdited)
      this.#writeRest(this.#start + this.#prefix.length)
      return
    }
    const bytes = this.#bytes
    const members = this.#members
    const id = members.find(bytes, keyId)
    const created = members.find(bytes, keyCreated)
    const model = members.find(bytes, keyModel)
    this.#id ??= this.#valueOf(id, isSomeId) ?? encodeJson(makeId(this.#idPrefix))
    this.#created ??= this.#valueOf(created, isSomeTime) ?? encoder.encode(String(Math.floor(Date.now() / 1000)))
    const before = out.length
    out.add(dataOpen)
    if (id < 0) this.#insert(fieldId, this.#id)
    if (created < 0) this.#insert(fieldCreated, this.#created)
    if (model < 0) this.#insert(fieldModel, this.#model)
    let at = members.open
    for (let member = 0; member < members.count; member += 1) {
      const value = this.#replacement(member)
      if (!value) continue
      out.add(bytes, at, members.valueStart(member))
      out.add(value)
      at = members.valueEnd(member)
    }
    if (id >= 0 && created >= 0 && model >= 0) this.#rememberPrefix(at, before)
    this.#writeRest(at)
  }

  /** Writes a whole frame of ours. */
  writeData(data: Uint8Array): void {
    this.#out.add(dataField)
    this.#out.add(data)
    this.#out.add(frameEnd)
  }

  #insert(field: Uint8Array, value: Uint8Array): void {
    this.#out.add(field)
    this.#out.add(value)
    // Where the frame is empty the model is the only and last member that follows.
    if (this.#members.count > 0 || field !== fieldModel) this.#out.add(comma)
  }

  #replacement(member: number): Uint8Array | undefined {
    const bytes = this.#bytes
    const members = this.#members
    if (members.isNamed(member, bytes, keyId)) return this.#id
    if (members.isNamed(member, bytes, keyCreated)) return this.#created
    return members.isNamed(member, bytes, keyModel) ? this.#model : undefined
  }

  #valueOf(member: number, isGood: (bytes: Uint8Array) => boolean): Uint8Array | undefined {
    if (member < 0) return undefined
    const value = this.#bytes.slice(this.#members.valueStart(member), this.#members.valueEnd(member))
    return isGood(value) ? value : undefined
  }

  #rememberPrefix(end: number, before: number): void {
    const startsEarly = (value: number): boolean => value !== 0 && value < end
    // What differs from frame to frame must lie behind it; and an upstream that makes up a new id each time is not worth the trouble.
    if (this.choices === 0 || startsEarly(this.choices) || startsEarly(this.usage) || startsEarly(this.error)) return
    if (this.#prefixTries === 0) return
    this.#prefixTries -= 1
    this.#prefix = this.#bytes.slice(this.#start, end)
    this.#prefixEdited = this.#out.copyFrom(before)
  }

  /** From `at` to the frame's end, with the empty line that makes it a frame. */
  #writeRest(at: number): void {
    const bytes = this.#bytes
    const end = this.#end
    if (bytes[end] === newline && bytes[end + 1] === newline) {
      this.#out.add(bytes, at, end + 2)
      return
    }
    this.#out.add(bytes, at, end)
    this.#out.add(frameEnd)
  }

  /** Sorts the members out; false when, behind a prefix, the scan has met again what the prefix has. */
  #note(): boolean {
    const members = this.#members
    const bytes = this.#bytes
    const { at } = members
    this.usage = this.error = this.choices = 0
    const isRest = this.#hasPrefix
    if (members.escapedKeys) return this.#noteSlowly() && !isRest
    for (let member = 0; member < members.count; member += 1) {
      const slot = member * 4
      const key = at[slot] as number
      switch ((at[slot + 1] as number) - key) {
        case 2:
          if (isRest && equalBytes(bytes, key, keyId)) return false
          break
        case 5:
          if (equalBytes(bytes, key, keyUsage)) this.#noteUsage(member)
          else if (equalBytes(bytes, key, keyError)) this.error = this.#unlessNull(member)
          else if (isRest && equalBytes(bytes, key, keyModel)) return false
          break
        case 7:
          if (equalBytes(bytes, key, keyChoices)) this.#noteChoices(member)
          else if (isRest && equalBytes(bytes, key, keyCreated)) return false
          break
      }
    }
    return true
  }

  #noteSlowly(): boolean {
    const members = this.#members
    const bytes = this.#bytes
    const usage = members.find(bytes, keyUsage)
    const error = members.find(bytes, keyError)
    const choices = members.find(bytes, keyChoices)
    if (usage >= 0) this.#noteUsage(usage)
    if (error >= 0) this.error = this.#unlessNull(error)
    if (choices >= 0) this.#noteChoices(choices)
    return true
  }

  #noteUsage(member: number): void {
    this.usage = this.#unlessNull(member)
    this.usageEnd = this.#members.valueEnd(member)
  }

  #noteChoices(member: number): void {
    this.choices = this.#unlessNull(member)
    this.choicesEnd = this.#members.valueEnd(member)
  }

  #unlessNull(member: number): number {
    const start = this.#members.valueStart(member)
    return this.#bytes[start] === 0x6e ? 0 : start
  }
}

/** A text that is not empty. */
function isSomeId(value: Uint8Array): boolean {
  return value[0] === 0x22 && value.length > 2
}

/** A number above zero. */
function isSomeTime(value: Uint8Array): boolean {
  return Number(new TextDecoder().decode(value)) > 0
}

export function makeId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll('-', '')
}
