import { ByteWriter, type Slab } from '../../wire/byte-writer.ts'
import { concat, encodeJson } from '../../wire/json-edit.ts'
import { JsonPatches } from '../../wire/json-patches.ts'
import { Members, scanObject } from '../../wire/json-scan.ts'
import { ChoicesRepair, choicesForms } from './choices-repair.ts'
import { FrameTemplate } from './frame-template.ts'
import { isText, isTimestampAt } from './json-values.ts'

const encoder = new TextEncoder()
const keyId = encoder.encode('id')
const keyModel = encoder.encode('model')
const keyCreated = encoder.encode('created')
const keyObject = encoder.encode('object')
const keyUsage = encoder.encode('usage')
const keyError = encoder.encode('error')
const keyChoices = encoder.encode('choices')
const fieldId = encoder.encode('"id":')
const fieldCreated = encoder.encode('"created":')
const fieldModel = encoder.encode('"model":')
const fieldObject = encoder.encode('"object":')
const fieldChoices = encoder.encode('"choices":[],')
const emptyList = encoder.encode('[]')
const braceOpen = encoder.encode('{')
const braceClose = encoder.encode('}')
const dataField = encoder.encode('data: ')
const frameEnd = encoder.encode('\n\n')
const comma = encoder.encode(',')
const newline = 0x0a
const none = new Uint8Array()
const noReasons: readonly string[] = []
/** Bytes around the text of a frame, where no frame was measured. */
const defaultEnvelope = 200

/** What the scan of one frame has found. A value's number is where it begins; 0 when it is absent or null. */
interface FrameScan {
  usage: number
  usageEnd: number
  error: number
  choices: number
  choicesEnd: number
}

/**
 * Edits the frames of one stream: `id`, `created` and `model` stay for all of it what the first frame and the caller's request made them, `object` is the
 * one that the schema requires, choices that lack what OpenAI's schema requires are repaired, all else passes as it came.
 */
export class FrameEditor implements FrameScan {
  usage = 0
  usageEnd = 0
  error = 0
  choices = 0
  choicesEnd = 0
  /** Frames that took the short way. */
  alike = 0

  readonly repairs: ChoicesRepair
  readonly #members = new Members()
  readonly #patches = new JsonPatches()
  readonly #out: ByteWriter
  readonly #model: Uint8Array
  readonly #idPrefix: string
  readonly #object: Uint8Array
  #id: Uint8Array | undefined
  #upstreamModel: Uint8Array | undefined
  #created: Uint8Array | undefined
  #template: FrameTemplate | undefined
  /** `alike` when the template was made. */
  #alikeBefore = 0
  /** Templates that may still be built without being used. */
  #tries = 8
  #bytes: Uint8Array = none
  #start = 0
  #end = 0

  /**
   * `model`: the requested one. `idPrefix`: of the id of a stream whose upstream sends none. `object`: of frames that
   * do not say it.
   */
  constructor(model: string, idPrefix: string, object: string, slab: Slab) {
    this.#out = new ByteWriter(slab)
    this.#model = encodeJson(model)
    this.#idPrefix = idPrefix
    this.#object = encodeJson(object)
    this.repairs = new ChoicesRepair(object === 'text_completion' ? choicesForms.completionsChunk : choicesForms.chatChunk, this.#patches)
  }

  /** The stream's id and the upstream's model, as JSON, once a frame had them. */
  get upstreamFacts(): { readonly id: Uint8Array | undefined; readonly model: Uint8Array | undefined } {
    return { id: this.#id, model: this.#upstreamModel }
  }

  /** The finish reasons of the frame that was repaired last. */
  get finishReasons(): readonly string[] {
    return this.choices === 0 ? noReasons : this.repairs.reasons
  }

  get written(): number {
    return this.#out.length
  }

  take(): Uint8Array {
    return this.#out.take()
  }

  /**
   * Writes the frames from `from` on that differ from one before in nothing but their texts; they need no longer look. Returns where it stopped: at a
   * frame that is another, not whole, or not there. Adds to `alike` for each.
   */
  writeAlike(bytes: Uint8Array, from: number): number {
    const template = this.#template
    if (!template) return from
    const out = this.#out
    let at = from
    for (;;) {
      const end = template.fit(bytes, at)
      if (end < 0) return at
      out.add(template.editedStart)
      out.add(bytes, at + template.startLength, end)
      this.alike += 1
      at = end
    }
  }

  /** Looks at the JSON of one frame; false when it is not an object. */
  scan(bytes: Uint8Array, start: number, end: number): boolean {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#patches.clear()
    if (!scanObject(bytes, start, end, this.#members)) return false
    this.#readMembers()
    return true
  }

  /** Repairs the choices of the frame that was scanned last; false when that is not possible. */
  repair(): boolean {
    if (this.choices === 0) {
      const members = this.#members
      const member = members.find(this.#bytes, keyChoices)
      if (member >= 0) this.#patches.replace(members.valueStart(member), members.valueEnd(member), emptyList)
      else this.#patches.replace(members.open, members.open, fieldChoices)
      return true
    }
    if (!this.repairs.examine(this.#bytes, this.choices)) return false
    // The template has the patches of an earlier state.
    if (!this.repairs.isSteady) this.#template = undefined
    return true
  }

  /** Writes the frame that was scanned last. */
  write(): void {
    const out = this.#out
    const bytes = this.#bytes
    const members = this.#members
    const patches = this.#patches
    const id = members.find(bytes, keyId)
    const created = members.find(bytes, keyCreated)
    const model = members.find(bytes, keyModel)
    this.#id ??= this.#valueOf(id, isNonEmptyText) ?? encodeJson(makeId(this.#idPrefix))
    this.#created ??= this.#valueOf(created, isTimestamp) ?? encoder.encode(String(Math.floor(Date.now() / 1000)))
    this.#upstreamModel ??= this.#valueOf(model, isNonEmptyText)
    const before = out.length
    out.add(dataField)
    if (members.find(bytes, keyObject) < 0) this.#insert(fieldObject, this.#object)
    if (id < 0) this.#insert(fieldId, this.#id)
    if (created < 0) this.#insert(fieldCreated, this.#created)
    if (model < 0) this.#insert(fieldModel, this.#model)
    for (let member = 0; member < members.count; member += 1) {
      const value = this.#replacement(member)
      if (value) patches.replace(members.valueStart(member), members.valueEnd(member), value)
    }
    const at = patches.write(out, bytes, members.open - 1)
    if (this.choices !== 0 && this.usage === 0 && this.repairs.isSteady) this.#makeTemplate(at, before)
    this.#writeRest(bytes, at, this.#end)
    // Frames that take the short way are not scanned: this one would keep the memory it came in alive for the whole stream.
    this.#bytes = none
  }

  /** The approximate bytes of a frame without its texts. */
  get envelope(): number {
    return this.#template?.envelope ?? defaultEnvelope
  }

  /** Writes a chunk of ours with the stream's id, model and so on; `members`: its other members, as JSON without braces. */
  writeChunk(members: Uint8Array): void {
    const id = this.#id ?? encodeJson(makeId(this.#idPrefix))
    const created = this.#created ?? encoder.encode(String(Math.floor(Date.now() / 1000)))
    const fields = [fieldId, id, comma, fieldObject, this.#object, comma, fieldCreated, created, comma, fieldModel, this.#model, comma]
    this.writeData(concat([braceOpen, ...fields, members, braceClose]))
  }

  /** Writes a whole frame of ours. */
  writeData(data: Uint8Array): void {
    this.#out.add(dataField)
    this.#out.add(data)
    this.#out.add(frameEnd)
  }

  #insert(field: Uint8Array, value: Uint8Array): void {
    const { open, count } = this.#members
    this.#patches.replace(open, open, field)
    this.#patches.replace(open, open, value)
    // Where the frame is empty the model is the last member.
    if (count > 0 || field !== fieldModel) this.#patches.replace(open, open, comma)
  }

  #replacement(member: number): Uint8Array | undefined {
    const bytes = this.#bytes
    const members = this.#members
    if (members.isNamed(member, bytes, keyId)) return this.#id
    if (members.isNamed(member, bytes, keyCreated)) return this.#created
    if (members.isNamed(member, bytes, keyModel)) return this.#model
    // An edit behind the texts of a frame would rule out a template: only a value that differs is replaced.
    return members.isNamed(member, bytes, keyObject) && !members.hasValue(member, bytes, this.#object) ? this.#object : undefined
  }

  #valueOf(member: number, isGood: (bytes: Uint8Array) => boolean): Uint8Array | undefined {
    if (member < 0) return undefined
    const value = this.#bytes.slice(this.#members.valueStart(member), this.#members.valueEnd(member))
    return isGood(value) ? value : undefined
  }

  /** For frames with choices only. Stops trying for an upstream whose frames are never alike. */
  #makeTemplate(lastEdit: number, before: number): void {
    if (this.alike > this.#alikeBefore) this.#tries = 8
    else if (this.#tries === 0) return
    this.#tries -= 1
    this.#alikeBefore = this.alike
    const frame = this.#bytes.subarray(this.#start, this.#end)
    this.#template = FrameTemplate.of(frame, this.#out.copyFrom(before), lastEdit - this.#start)
  }

  /** From `at` to the frame's end, with the empty line that makes it a frame. */
  #writeRest(bytes: Uint8Array, at: number, end: number): void {
    if (bytes[end] === newline && bytes[end + 1] === newline) {
      this.#out.add(bytes, at, end + 2)
      return
    }
    this.#out.add(bytes, at, end)
    this.#out.add(frameEnd)
  }

  #readMembers(): void {
    this.usage = this.error = this.choices = 0
    const members = this.#members
    const bytes = this.#bytes
    const usage = members.find(bytes, keyUsage)
    const error = members.find(bytes, keyError)
    const choices = members.find(bytes, keyChoices)
    if (usage >= 0) this.#readUsage(usage)
    if (error >= 0) this.error = this.#startUnlessNull(error)
    if (choices >= 0) this.#readChoices(choices)
  }

  #readUsage(member: number): void {
    this.usage = this.#startUnlessNull(member)
    this.usageEnd = this.#members.valueEnd(member)
  }

  #readChoices(member: number): void {
    this.choices = this.#startUnlessNull(member)
    this.choicesEnd = this.#members.valueEnd(member)
  }

  #startUnlessNull(member: number): number {
    const start = this.#members.valueStart(member)
    return this.#bytes[start] === 0x6e ? 0 : start
  }
}

function isNonEmptyText(value: Uint8Array): boolean {
  return isText(value, 0)
}

function isTimestamp(value: Uint8Array): boolean {
  return isTimestampAt(value, 0, value.length)
}

export function makeId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll('-', '')
}
