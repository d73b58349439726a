import { type JsonPatches, ObjectPatcher } from '../../wire/json-patches.ts'
import { openBrace, openBracket, quote, skipValue, visitItems } from '../../wire/json-scan.ts'
import { decodeText } from '../../wire/decode-text.ts'
import { indexIn, isText } from './json-values.ts'
import { maxToolCalls, type StreamedToolCall, type ToolCallEntry, type ToolCalls } from './tool-calls.ts'

const encoder = new TextEncoder()
const keys = {
  index: encoder.encode('index'),
  id: encoder.encode('id'),
  type: encoder.encode('type'),
  function: encoder.encode('function'),
  custom: encoder.encode('custom'),
  name: encoder.encode('name'),
  arguments: encoder.encode('arguments'),
}
const letterN = 0x6e
const bracketOpen = encoder.encode('[')
const bracketClose = encoder.encode(']')

/** Brings `tool_calls` into the form of OpenAI's schema: those of a message, or the entries of a stream's deltas. */
export class ToolCallsRepair {
  /** Whether the last entries neither began nor named a call: see `ChoicesRepair.isSteady`. */
  isSteady = true
  readonly #isChunk: boolean
  readonly #patches: JsonPatches
  readonly #entry: ObjectPatcher
  readonly #function: ObjectPatcher

  constructor(isChunk: boolean, patches: JsonPatches) {
    this.#isChunk = isChunk
    this.#patches = patches
    this.#entry = new ObjectPatcher(patches)
    this.#function = new ObjectPatcher(patches)
  }

  /** Repairs the list at `start`. Returns the number of its entries; undefined when it cannot be repaired. */
  examine(bytes: Uint8Array, start: number, calls: ToolCalls): number | undefined {
    this.isSteady = true
    if (bytes[start] === openBrace) {
      // One call that is not in a list.
      this.#patches.replace(start, start, bracketOpen)
      const end = skipValue(bytes, start)
      const isGood = this.#entryAt(bytes, start, { calls, position: 0, entries: 1 })
      this.#patches.replace(end, end, bracketClose)
      return isGood ? 1 : undefined
    }
    if (bytes[start] !== openBracket) return undefined
    const starts: number[] = []
    if (!visitItems(bytes, start, (at) => starts.push(at) <= maxToolCalls)) return undefined
    const isGood = starts.every((at, position) => this.#entryAt(bytes, at, { calls, position, entries: starts.length }))
    return isGood ? starts.length : undefined
  }

  #entryAt(
    bytes: Uint8Array,
    start: number,
    { calls, position, entries }: { calls: ToolCalls; position: number; entries: number },
  ): boolean {
    if (bytes[start] !== openBrace) return false
    const entry = this.#entry
    entry.enter(bytes, start)
    const fn = entry.find(keys.function)
    if (fn >= 0 && entry.firstByte(fn) !== openBrace && entry.firstByte(fn) !== letterN) return false
    const hasFunction = entry.firstByte(fn) === openBrace
    if (hasFunction) this.#function.enter(bytes, entry.valueStart(fn))
    const given = this.#read(bytes, hasFunction, { position, entries })
    if (given.name !== undefined) this.isSteady = false
    const known = this.#isChunk ? calls.find(given) : undefined
    const call = known ?? calls.begin(given)
    if (!call) return false
    if (known) this.#continue(call, given)
    else this.#begin(call)
    if (!call.isCustom) this.#functionOf(call, { member: fn, hasFunction, isNew: !known })
    if (given.arguments !== 'none') call.hasArguments = true
    entry.leave()
    return true
  }

  #read(bytes: Uint8Array, hasFunction: boolean, place: Pick<ToolCallEntry, 'position' | 'entries'>): ToolCallEntry {
    const entry = this.#entry
    const index = entry.find(keys.index)
    const fn = this.#function
    const name = hasFunction ? textOf(fn, fn.find(keys.name)) : undefined
    return {
      ...place,
      name,
      index: index < 0 ? undefined : indexIn(bytes, entry.valueStart(index), entry.valueEnd(index)),
      id: textOf(entry, entry.find(keys.id)),
      arguments: hasFunction ? kindOf(fn, fn.find(keys.arguments), name !== undefined) : 'none',
    }
  }

  /** The first entry of a call has all of its members; only arguments may follow. */
  #begin(call: StreamedToolCall): void {
    this.isSteady = false
    const entry = this.#entry
    if (this.#isChunk) this.#index(call.at)
    const id = entry.find(keys.id)
    if (textOf(entry, id) !== call.id) entry.set(id, 'id', JSON.stringify(call.id))
    const type = entry.find(keys.type)
    call.isCustom = entry.firstByte(entry.find(keys.custom)) === openBrace
    if (type < 0 || !isText(entry.bytes, entry.valueStart(type))) entry.set(type, 'type', call.isCustom ? '"custom"' : '"function"')
  }

  /** openai-python joins texts that come twice, and openai-node takes a changed name or type for an error: an entry that continues a call has neither. */
  #continue(call: StreamedToolCall, given: ToolCallEntry): void {
    const entry = this.#entry
    this.#index(call.at)
    call.upstreamId ??= given.id
    call.upstreamIndex ??= given.index
    const id = entry.find(keys.id)
    if (id >= 0) entry.remove(id)
    const type = entry.find(keys.type)
    if (type >= 0 && !isText(entry.bytes, entry.valueStart(type))) entry.remove(type)
  }

  #index(at: number): void {
    const entry = this.#entry
    const member = entry.find(keys.index)
    const isRight = entry.firstByte(member) !== quote && member >= 0
    if (!isRight || indexIn(entry.bytes, entry.valueStart(member), entry.valueEnd(member)) !== at) entry.set(member, 'index', String(at))
  }

  #functionOf(call: StreamedToolCall, { member, hasFunction, isNew }: { member: number; hasFunction: boolean; isNew: boolean }): void {
    if (!hasFunction) {
      this.#entry.set(member, 'function', isNew ? '{"name":"","arguments":""}' : '{}')
      return
    }
    const fn = this.#function
    const name = fn.find(keys.name)
    const text = textOf(fn, name)
    if (isNew && text === undefined && fn.firstByte(name) !== quote) fn.set(name, 'name', '""')
    if (!isNew && name >= 0 && (call.name !== undefined || text === undefined)) fn.remove(name)
    call.name ??= text
    const given = fn.find(keys.arguments)
    if (given < 0) {
      if (isNew) fn.set(given, 'arguments', '""')
    } else if (fn.firstByte(given) === letterN) fn.set(given, 'arguments', '""')
    else if (fn.firstByte(given) !== quote)
      fn.set(given, 'arguments', JSON.stringify(decodeText(fn.bytes, fn.valueStart(given), fn.valueEnd(given))))
    fn.leave()
  }
}

/** A member's value where it is a text that is not empty. */
function textOf(object: ObjectPatcher, member: number): string | undefined {
  if (member < 0 || !isText(object.bytes, object.valueStart(member))) return undefined
  return JSON.parse(decodeText(object.bytes, object.valueStart(member), object.valueEnd(member))) as string
}

/** Beside a name it matters whether a text is a part of the arguments or all of them. */
function kindOf(fn: ObjectPatcher, member: number, isNamed: boolean): ToolCallEntry['arguments'] {
  const first = fn.firstByte(member)
  if (member < 0 || first === letterN) return 'none'
  if (first !== quote) return 'whole'
  if (!isText(fn.bytes, fn.valueStart(member))) return 'none'
  if (!isNamed) return 'fragment'
  const text = decodeText(fn.bytes, fn.valueStart(member) + 1, fn.valueEnd(member) - 1)
  if (!/^(?:\s|\\[nrt])*\{/.test(text)) return 'fragment'
  return isObject(`"${text}"`) ? 'whole' : 'beginning'
}

function isObject(literal: string): boolean {
  try {
    JSON.parse(JSON.parse(literal) as string)
    return true
  } catch {
    // A part of the arguments, to be continued.
    return false
  }
}
