import { type Assertion, type CharacterSet, isWordCharacter, parseRegex, RegexError, type RegexNode } from './regex-syntax.ts'

/** Text longer than this is not matched at all: policies then decide against the caller. In UTF-16 units. */
export const maxMatchedLength = 1_024

/** Steps of one automaton; counted repeats are written out. */
const maxSteps = 1_000
const maxParts = 20_000

type Step =
  | { readonly kind: 'characters'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | Fork
  | { readonly kind: 'found' }

/** A way through the pattern that began at `start`. */
interface MatchThread {
  readonly state: number
  readonly start: number
}

interface Round {
  readonly codes: readonly number[]
  readonly at: number
  readonly next: MatchThread[]
  readonly note: (start: number, end: number) => void
}

interface Fork {
  readonly kind: 'fork'
  to: readonly number[]
}

/**
 * A regular expression that takes time proportional to the text, whatever the pattern: callers choose the ids that operators' patterns
 * are matched against, and a backtracking engine takes exponential time for some pairs. All ways through the pattern are followed at
 * once, as a set of states (Thompson 1968). Anchored at the start only, like Python's `re.match`, which Llama Stack uses.
 */
export class LinearRegex {
  readonly source: string
  readonly #steps: readonly Step[]
  readonly #ignoreCase: boolean
  /** Which states are in the set that is being built: those marked with the number of its round. */
  readonly #marks: Uint32Array
  #round = 0

  /** Throws RegexError. */
  constructor(source: string) {
    const { root, ignoreCase } = parseRegex(source)
    this.source = source
    this.#ignoreCase = ignoreCase
    const builder = new RegexCompiler()
    builder.build(root)
    this.#steps = [...builder.steps, { kind: 'found' }]
    this.#marks = new Uint32Array(this.#steps.length)
  }

  /** Whether some beginning of `text` matches; undefined where the text is too long. */
  matches(text: string): boolean | undefined {
    if (text.length > maxMatchedLength) return undefined
    const codes = Array.from(text, (character) => character.codePointAt(0)!)
    let states: number[] = []
    this.#newRound()
    if (this.#enter(0, { codes, at: 0, states })) return true
    for (let at = 0; at < codes.length && states.length > 0; at++) {
      const next: number[] = []
      this.#newRound()
      for (const state of states) {
        const step = this.#steps[state]!
        if (step.kind === 'characters' && this.#takes(step.set, codes[at]!)) {
          if (this.#enter(state + 1, { codes, at: at + 1, states: next })) return true
        }
      }
      states = next
    }
    return false
  }

  /**
   * The first match anywhere in a text, the longest of those that begin there, as indices into its code points; empty ones do not count. All beginnings
   * are followed at once: the time is proportional to the text here too.
   */
  find(codes: readonly number[], from = 0): { readonly start: number; readonly end: number } | undefined {
    const found = { start: Infinity, end: 0 }
    const note = (start: number, end: number): void => {
      if (end > start && start <= found.start) Object.assign(found, { start, end })
    }
    let threads: MatchThread[] = []
    for (let at = from; at <= codes.length; at++) {
      // Earlier beginnings come first, and a state is entered once a round: the earliest keeps it.
      const round = { codes, at, next: [] as MatchThread[], note }
      this.#newRound()
      if (at > from) for (const thread of threads) this.#advance(thread, round)
      if (found.end === 0) this.#spread(0, at, round)
      threads = round.next.filter(({ start }) => start <= found.start)
      if (threads.length === 0 && found.end > 0) break
    }
    return found.end > 0 ? found : undefined
  }

  /** `at` is behind the character that the thread takes. */
  #advance({ state, start }: MatchThread, round: Round): void {
    const step = this.#steps[state]!
    if (step.kind === 'characters' && this.#takes(step.set, round.codes[round.at - 1]!)) this.#spread(state + 1, start, round)
  }

  #spread(first: number, start: number, { codes, at, next, note }: Round): void {
    const waiting = [first]
    for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
      if (this.#marks[state] === this.#round) continue
      this.#marks[state] = this.#round
      const step = this.#steps[state]!
      if (step.kind === 'found') note(start, at)
      else if (step.kind === 'characters') next.push({ state, start })
      else if (step.kind === 'fork') waiting.push(...step.to)
      else if (holds(step.assertion, codes, at)) waiting.push(state + 1)
    }
  }

  #newRound(): void {
    if (this.#round === 0xffffffff) this.#marks.fill(0)
    this.#round = this.#round === 0xffffffff ? 1 : this.#round + 1
  }

  /** Adds `state` and all that is reached from it without a character; true when the end of the pattern is among them. */
  #enter(state: number, { codes, at, states }: { codes: readonly number[]; at: number; states: number[] }): boolean {
    const waiting = [state]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (this.#marks[next] === this.#round) continue
      this.#marks[next] = this.#round
      const step = this.#steps[next]!
      if (step.kind === 'found') return true
      if (step.kind === 'characters') states.push(next)
      else if (step.kind === 'fork') waiting.push(...step.to)
      else if (holds(step.assertion, codes, at)) waiting.push(next + 1)
    }
    return false
  }

  #takes(set: CharacterSet, code: number): boolean {
    if (!this.#ignoreCase) return set.contains(code) !== set.negated
    return variants(code).some((variant) => set.contains(variant)) !== set.negated
  }
}

/** Writes out a pattern as steps; each part leads to the step that follows it. */
class RegexCompiler {
  readonly steps: Step[] = []
  #parts = 0

  build(node: RegexNode): void {
    // Counted apart: a part that matches nothing adds no step, however often it is repeated.
    this.#parts += 1
    if (this.steps.length > maxSteps || this.#parts > maxParts) throw new RegexError('too large: its counted repeats multiply')
    switch (node.kind) {
      case 'characters':
      case 'assertion':
        this.steps.push(node)
        return
      case 'sequence':
        for (const part of node.parts) this.build(part)
        return
      case 'choice':
        return this.#choice(node.choices)
      case 'repeat':
        return this.#repeat(node)
    }
  }

  #fork(): Fork {
    const fork: Fork = { kind: 'fork', to: [] }
    this.steps.push(fork)
    return fork
  }

  #choice(choices: readonly RegexNode[]): void {
    const fork = this.#fork()
    const begins: number[] = []
    const ends: Fork[] = []
    for (const choice of choices) {
      begins.push(this.steps.length)
      this.build(choice)
      ends.push(this.#fork())
    }
    fork.to = begins
    for (const end of ends) end.to = [this.steps.length]
  }

  #repeat({ part, min, max }: Extract<RegexNode, { kind: 'repeat' }>): void {
    for (let count = 0; count < min; count++) this.build(part)
    const again = this.steps.length
    const forks: { fork: Fork; inner: number }[] = []
    const optional = max === Infinity ? 1 : max - min
    for (let count = 0; count < optional; count++) {
      forks.push({ fork: this.#fork(), inner: this.steps.length })
      this.build(part)
    }
    if (max === Infinity) this.#fork().to = [again]
    for (const { fork, inner } of forks) fork.to = [inner, this.steps.length]
  }
}

function holds(assertion: Assertion, codes: readonly number[], at: number): boolean {
  if (assertion === 'start') return at === 0
  if (assertion === 'end') return at === codes.length
  const [before, after] = [codes[at - 1], codes[at]]
  const boundary = (before !== undefined && isWordCharacter(before)) !== (after !== undefined && isWordCharacter(after))
  return boundary === (assertion === 'boundary')
}

function variants(code: number): readonly number[] {
  const text = String.fromCodePoint(code)
  const others = [text.toLowerCase(), text.toUpperCase()].map((other) => (singular(other) ? other.codePointAt(0)! : code))
  return [code, ...others]
}

function singular(text: string): boolean {
  return text.length === (text.codePointAt(0)! > 0xffff ? 2 : 1)
}
