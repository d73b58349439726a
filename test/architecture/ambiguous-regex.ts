import { parseRegex, type CharacterSet, type RegexNode } from '../../src/text/regex-syntax.ts'
import type { RegexLiteral } from './source-parts.ts'

/** How the time of a backtracking engine can grow with the length of the text that it fails to match. */
type Growth = 'linear' | 'polynomial' | 'exponential'

/**
 * Judges a regular expression by the ambiguity of its automaton (Weber and Seidl 1991; Weideman et al. 2016): exponential where a loop can read
 * one text in two ways, polynomial where one loop can hand over to another in the middle of what both can read. Look-around counts as if it were
 * read, which can only find too much.
 */
export function growthOf({ source, flags }: RegexLiteral): Growth {
  const readable = source
    .replaceAll(/\(\?<?[=!]/g, '(?:')
    .replaceAll(/\\[pP]\{[^}]*\}/g, '\\w')
    .replaceAll(/\\c[A-Z]/g, '\\t')
    .replaceAll(/\\0/g, '\\x00')
  const automaton = new Automaton(parseRegex(readable).root, flags.includes('i'))
  if (automaton.isExponential()) return 'exponential'
  const endsAnywhere = !/\$|\\b|\(\?[=!]/.test(source.replaceAll(/\\\$/g, ''))
  return automaton.isPolynomial({ anchored: isAnchored(source) || flags.includes('y'), endsAnywhere }) ? 'polynomial' : 'linear'
}

/** Whether every alternative begins at the start of the text. */
function isAnchored(source: string): boolean {
  let depth = 0
  let bracket = false
  let begins = true
  for (let at = 0; at < source.length; at += 1) {
    const character = source[at]!
    if (begins && character !== '^') return false
    begins = false
    if (character === '\\') at += 1
    else if (bracket) bracket = character !== ']'
    else if (character === '[') bracket = true
    else if (character === '(') depth += 1
    else if (character === ')') depth -= 1
    else if (depth === 0 && character === '|') begins = true
  }
  return !begins
}

interface Part {
  nullable: boolean
  first: number[]
  last: number[]
}

/** Characters that stand for all others. */
const samples = [...Array.from({ length: 256 }, (_, code) => code), 0x17f, 0x2028, 0x3b1, 0x3002, 0x4e00, 0x1f600]

/** Its states are the places where a character is read (Glushkov 1961). */
class Automaton {
  readonly #reads: boolean[][] = []
  /** Where one can go from a state; twice, where there are two ways. */
  readonly #next: number[][] = []
  readonly #last: ReadonlySet<number>
  readonly #first: readonly number[]
  readonly #ignoreCase: boolean
  /** What each state reads, a bit for each of the samples. */
  #masks: bigint[] = []
  #overlap: boolean[][] = []
  #reach: boolean[][] = []

  constructor(root: RegexNode, ignoreCase: boolean) {
    this.#ignoreCase = ignoreCase
    const { first, last } = this.#build(root)
    this.#first = first
    this.#last = new Set(last)
    this.#measure()
  }

  isExponential(): boolean {
    const { length } = this.#next
    for (let state = 0; state < length; state += 1) {
      if (!this.#reach[state]![state]) continue
      // Two ways from one state to the next, within a loop.
      for (const to of this.#next[state]!) {
        const twice = this.#next[state]!.filter((other) => other === to).length > 1
        if (twice && this.#reach[to]![state]) return true
      }
      if (this.#canPartAndMeet(state)) return true
    }
    return false
  }

  /** Two walks that begin at `state` with the same text, part, and come back to it with the same text. */
  #canPartAndMeet(state: number): boolean {
    const parted = this.#pairsFrom([state, state]).filter(([a, b]) => a !== b)
    return parted.some((pair) => this.#pairsFrom(pair).some(([a, b]) => a === state && b === state))
  }

  #pairsFrom(start: readonly [number, number]): (readonly [number, number])[] {
    return this.#walk([start], ([a, b]) => this.#together(this.#next[a]!, this.#next[b]!).map(([x, y]) => [x, y] as const))
  }

  isPolynomial({ anchored, endsAnywhere }: { anchored: boolean; endsAnywhere: boolean }): boolean {
    const loops = this.#next.map((_, state) => state).filter((state) => this.#reach[state]![state])
    const ends = (state: number): boolean => endsAnywhere && this.#last.has(state)
    for (const late of loops) {
      if (ends(late)) continue
      // A search begins anew at every character: as if a loop that reads anything stood in front.
      if (!anchored && this.#searchMeets(late)) return true
      if (loops.some((early) => early !== late && this.#reach[early]![late] && this.#handsOver(early, late))) return true
    }
    return false
  }

  /** From the start, with any text in front, into the loop of `late` with a text that the loop itself can read. */
  #searchMeets(late: number): boolean {
    const begin = this.#first.filter((state) => this.#overlap[state]![late] || this.#reach[state]![late])
    const pairs = begin.flatMap((state) =>
      this.#loopStates(late)
        .filter((other) => this.#overlap[state]![other])
        .map((other) => [state, other] as const),
    )
    return this.#walk(pairs, ([a, b]) => this.#together(this.#next[a]!, this.#loopNext(b, late)).map(([x, y]) => [x, y] as const)).some(
      ([a, b]) => a === b && this.#sameLoop(a, late),
    )
  }

  /** The same text leads from `early` back to it, from `early` to `late`, and from `late` back to it. */
  #handsOver(early: number, late: number): boolean {
    const step = ([a, b, c]: readonly [number, number, number]): (readonly [number, number, number])[] =>
      this.#together(this.#loopNext(a, early), this.#next[b]!).flatMap(([x, y]) =>
        this.#loopNext(c, late)
          .filter((z) => this.#sharedByAll(x, y, z))
          .map((z) => [x, y, z] as const),
      )
    return this.#walk([[early, early, late] as const], step).some(([a, b, c]) => a === early && b === late && c === late)
  }

  #sharedByAll(...states: number[]): boolean {
    return states.reduce((shared, state) => shared & this.#masks[state]!, -1n) !== 0n
  }

  #sameLoop(a: number, b: number): boolean {
    return this.#reach[a]![b]! && this.#reach[b]![a]!
  }

  #loopStates(state: number): number[] {
    return this.#next.map((_, other) => other).filter((other) => this.#sameLoop(other, state))
  }

  #loopNext(from: number, loop: number): number[] {
    return this.#next[from]!.filter((to) => this.#sameLoop(to, loop))
  }

  #together(some: readonly number[], others: readonly number[]): [number, number][] {
    return some.flatMap((a) => others.filter((b) => this.#overlap[a]![b]).map((b): [number, number] => [a, b]))
  }

  /** All that can be reached in at least one step. */
  #walk<Place extends readonly number[]>(starts: readonly Place[], step: (place: Place) => readonly Place[]): Place[] {
    const seen = new Map<string, Place>()
    const open = [...starts]
    for (let place = open.pop(); place; place = open.pop()) {
      for (const next of step(place)) {
        const key = next.join()
        if (seen.has(key)) continue
        seen.set(key, next)
        open.push(next)
      }
    }
    return [...seen.values()]
  }

  #measure(): void {
    const { length } = this.#next
    this.#masks = this.#reads.map((reads) => BigInt(`0b${reads.map((one) => (one ? '1' : '0')).join('')}`))
    this.#overlap = this.#masks.map((one) => this.#masks.map((other) => (one & other) !== 0n))
    this.#reach = Array.from({ length }, (_, from) => {
      const row = Array<boolean>(length).fill(false)
      for (const [to] of this.#walk([[from]], ([state]) => this.#next[state!]!.map((next) => [next]))) row[to!] = true
      return row
    })
  }

  #build(node: RegexNode): Part {
    switch (node.kind) {
      case 'characters':
        return this.#state(node.set)
      case 'assertion':
        return { nullable: true, first: [], last: [] }
      case 'choice': {
        const parts = node.choices.map((choice) => this.#build(choice))
        return {
          nullable: parts.some(({ nullable }) => nullable),
          first: parts.flatMap(({ first }) => first),
          last: parts.flatMap(({ last }) => last),
        }
      }
      case 'sequence':
        return node.parts.reduce<Part>((before, part) => this.#join(before, this.#build(part)), { nullable: true, first: [], last: [] })
      default:
        return this.#repeat(node)
    }
  }

  #state(set: CharacterSet): Part {
    const state = this.#next.push([]) - 1
    const has = (code: number): boolean => set.contains(code) !== set.negated
    this.#reads.push(
      samples.map((code) => {
        if (!this.#ignoreCase) return has(code)
        const character = String.fromCodePoint(code)
        return [character, character.toLowerCase(), character.toUpperCase()].some((form) => has(form.codePointAt(0)!))
      }),
    )
    return { nullable: false, first: [state], last: [state] }
  }

  #join(before: Part, after: Part): Part {
    for (const from of before.last) this.#next[from]!.push(...after.first)
    return {
      nullable: before.nullable && after.nullable,
      first: before.nullable ? [...before.first, ...after.first] : before.first,
      last: after.nullable ? [...before.last, ...after.last] : after.last,
    }
  }

  /** Bounded repeats are written out, a few times at most: they are no loops. */
  #repeat({ part, min, max }: Extract<RegexNode, { kind: 'repeat' }>): Part {
    const copies = max === Infinity ? Math.max(1, Math.min(min, 2)) : Math.min(max, 3)
    let whole: Part = { nullable: true, first: [], last: [] }
    for (let copy = 0; copy < copies; copy += 1) {
      const built = this.#build(part)
      if (max === Infinity && copy === copies - 1) for (const from of built.last) this.#next[from]!.push(...built.first)
      whole = this.#join(whole, { ...built, nullable: built.nullable || copy >= min })
    }
    return whole
  }
}
