import { type JsonPatches, ObjectPatcher } from '../../wire/json-patches.ts'
import { openBrace, openBracket, visitItems } from '../../wire/json-scan.ts'
import { decodeText } from '../../wire/decode-text.ts'
import { indexIn, isText } from './json-values.ts'
import { ToolCallsRepair } from './tool-calls-repair.ts'
import { ToolCalls } from './tool-calls.ts'

/** What the choices of a response or of a chunk must have by OpenAI's schema. */
interface ChoicesForm {
  readonly isChunk: boolean
  /** The member that holds the model's output, and the one that some upstreams send instead; absent: `text`. */
  readonly body?: { readonly name: string; readonly other: string }
  /** Members of a choice that are null where the upstream has none. */
  readonly nullable: readonly string[]
  /** Members of the message that are null where the upstream has none. */
  readonly nullableInBody: readonly string[]
}

const form = (isChunk: boolean, nullable: readonly string[], more: Partial<ChoicesForm> = {}): ChoicesForm => ({
  isChunk,
  nullable,
  nullableInBody: [],
  ...more,
})

/** By capability and by whether it is a chunk of a stream. */
export const choicesForms = {
  chat: form(false, ['logprobs'], { body: { name: 'message', other: 'delta' }, nullableInBody: ['content', 'refusal'] }),
  chatChunk: form(true, ['finish_reason'], { body: { name: 'delta', other: 'message' } }),
  completions: form(false, ['logprobs']),
  completionsChunk: form(true, ['finish_reason', 'logprobs']),
}

const encoder = new TextEncoder()
const keys: Readonly<Record<string, Uint8Array>> = Object.fromEntries(
  ['index', 'finish_reason', 'logprobs', 'message', 'delta', 'text', 'role', 'content', 'refusal', 'tool_calls'].map((name) => [
    name,
    encoder.encode(name),
  ]),
)
const letterN = 0x6e

/** One choice of a stream so far. */
class ChoiceState {
  role: 'awaited' | 'added' | 'sent' = 'awaited'
  readonly calls = new ToolCalls()
}

/** Of one response: OpenAI's are at most 128 for each prompt. */
const maxChoices = 16_384
/** Finish reasons are single words. */
const maxReason = 64
/** Noted of one chunk, for telemetry. */
const maxReasons = 16

/**
 * Brings the `choices` of a response, or of the chunks of a stream one after another, into the form of OpenAI's schema. Choices that have it are not
 * touched; others are patched in their bytes. The repairs are listed in docs/adding-a-provider.md.
 */
export class ChoicesRepair {
  /** Whether the last chunk changed no state: a chunk that differs from it in its texts alone then needs the same patches. */
  isSteady = true
  /** The first finish reasons of the last chunk. */
  readonly reasons: string[] = []
  readonly #form: ChoicesForm
  /** By index; a stream's only. */
  readonly #states: Map<number, ChoiceState> | undefined
  readonly #finished = new Set<number>()
  readonly #patches: JsonPatches
  readonly #choice: ObjectPatcher
  readonly #body: ObjectPatcher
  #toolCalls: ToolCallsRepair | undefined
  #bytes: Uint8Array = new Uint8Array()

  constructor(choicesForm: ChoicesForm, patches: JsonPatches) {
    this.#form = choicesForm
    if (choicesForm.isChunk) this.#states = new Map()
    this.#patches = patches
    this.#choice = new ObjectPatcher(patches)
    this.#body = new ObjectPatcher(patches)
  }

  /** Whether `requested` choices, and all that arrived, have their finish reason. */
  isFinished(requested: number): boolean {
    return this.#finished.size > 0 && this.#finished.size >= requested && this.#finished.size >= (this.#states?.size ?? 0)
  }

  /** Adds the patches that the list at `start` needs; the bytes are well-formed JSON. False when they cannot be repaired. */
  examine(bytes: Uint8Array, start: number): boolean {
    this.#bytes = bytes
    this.isSteady = true
    this.reasons.length = 0
    return bytes[start] === openBracket && visitItems(bytes, start, this.#visit)
  }

  readonly #visit = (start: number, position: number): boolean => {
    if (this.#bytes[start] !== openBrace) return false
    const choice = this.#choice
    choice.enter(this.#bytes, start)
    const index = this.#index(position)
    const state = this.#stateOf(index)
    if (!state) return false
    const found = this.#form.body ? this.#output(state, this.#form.body) : this.#text()
    if (found === 'invalid') return false
    this.#finish(index, found)
    for (const name of this.#form.nullable) {
      const member = choice.find(keys[name]!)
      if (member < 0) choice.set(member, name, 'null')
    }
    choice.leave()
    return true
  }

  #stateOf(index: number): ChoiceState | undefined {
    const states = this.#states
    // In a whole response each choice is a new one.
    if (!states) return new ChoiceState()
    const known = states.get(index)
    if (known || states.size >= maxChoices) return known
    const state = new ChoiceState()
    states.set(index, state)
    this.isSteady = false
    return state
  }

  #index(position: number): number {
    const choice = this.#choice
    const member = choice.find(keys['index']!)
    const index = (member < 0 ? undefined : indexIn(this.#bytes, choice.valueStart(member), choice.valueEnd(member))) ?? position
    const first = choice.firstByte(member)
    // A valid index may still be written as a string, a fraction or with an exponent.
    if (member < 0 || first < 0x30 || first > 0x39 || choice.valueEnd(member) - choice.valueStart(member) !== String(index).length)
      choice.set(member, 'index', String(index))
    return index
  }

  #finish(index: number, found: 'calls' | 'no calls'): void {
    const choice = this.#choice
    const member = choice.find(keys['finish_reason']!)
    const isGiven = member >= 0 && isText(this.#bytes, choice.valueStart(member))
    if (!this.#form.isChunk) {
      if (!isGiven) choice.set(member, 'finish_reason', found === 'calls' ? '"tool_calls"' : '"stop"')
      return
    }
    if (!isGiven) return
    this.#finished.add(index)
    const start = choice.valueStart(member)
    const end = choice.valueEnd(member)
    if (end - start <= maxReason && this.reasons.length < maxReasons)
      this.reasons.push(JSON.parse(decodeText(this.#bytes, start, end)) as string)
  }

  /** Of a text completion. */
  #text(): 'no calls' {
    const member = this.#choice.find(keys['text']!)
    if (member < 0 || this.#choice.firstByte(member) === letterN) this.#choice.set(member, 'text', '""')
    return 'no calls'
  }

  #output(state: ChoiceState, { name, other }: { name: string; other: string }): 'calls' | 'no calls' | 'invalid' {
    const choice = this.#choice
    const member = choice.find(keys[name]!)
    const first = choice.firstByte(member)
    if (first === openBrace) return this.#bodyAt(choice.valueStart(member), state)
    if (member >= 0 && first !== letterN) return 'invalid'
    const substitute = choice.find(keys[other]!)
    if (choice.firstByte(substitute) === openBrace) {
      if (member >= 0) choice.remove(member)
      choice.rename(substitute, keys[name]!)
      return this.#bodyAt(choice.valueStart(substitute), state)
    }
    if (!this.#form.isChunk) return 'invalid'
    choice.set(member, name, state.role === 'awaited' ? '{"role":"assistant"}' : '{}')
    this.#noteRole(state, 'added')
    return 'no calls'
  }

  #bodyAt(start: number, state: ChoiceState): 'calls' | 'no calls' | 'invalid' {
    const body = this.#body
    body.enter(this.#bytes, start)
    this.#role(state)
    for (const name of this.#form.nullableInBody) {
      const member = body.find(keys[name]!)
      if (member < 0) body.set(member, name, 'null')
    }
    body.leave()
    const calls = body.find(keys['tool_calls']!)
    if (calls < 0 || body.firstByte(calls) === letterN) return 'no calls'
    this.#toolCalls ??= new ToolCallsRepair(this.#form.isChunk, this.#patches)
    const entries = this.#toolCalls.examine(this.#bytes, body.valueStart(calls), state.calls)
    if (!this.#toolCalls.isSteady) this.isSteady = false
    if (entries === undefined) return 'invalid'
    return entries > 0 ? 'calls' : 'no calls'
  }

  /** The first delta of a choice has the role. Where it was added there, a later one is removed: clients would join the two. */
  #role(state: ChoiceState): void {
    if (state.role === 'sent') return
    const body = this.#body
    const member = body.find(keys['role']!)
    const isGiven = member >= 0 && isText(this.#bytes, body.valueStart(member))
    if (state.role === 'added') {
      if (isGiven) body.remove(member)
      return
    }
    if (!isGiven) body.set(member, 'role', '"assistant"')
    this.#noteRole(state, isGiven ? 'sent' : 'added')
  }

  #noteRole(state: ChoiceState, role: 'added' | 'sent'): void {
    if (state.role !== 'awaited') return
    state.role = role
    this.isSteady = false
  }
}
