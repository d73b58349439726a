/** What one character must be. Case folding is the matcher's business, so a negated set says so apart. */
export interface CharacterSet {
  readonly negated: boolean
  contains(code: number): boolean
}

export type Assertion = 'start' | 'end' | 'boundary' | 'no boundary'

export type RegexNode =
  | { readonly kind: 'characters'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly choices: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly part: RegexNode; readonly min: number; readonly max: number }

interface ParsedRegex {
  readonly root: RegexNode
  readonly ignoreCase: boolean
}

/** A pattern that cannot be read, or asks for what cannot be matched in linear time. */
export class RegexError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RegexError'
  }
}

const maxPatternLength = 1_000
const maxGroupDepth = 50
const maxRepeats = 1_000

/**
 * Reads a regular expression in the syntax that Python's `re` and JavaScript share: literals, `.` (any character, line breaks too), `[…]`,
 * `\d \w \s` and their opposites (by Unicode), `\b \B`, `^ $ \A \Z`, groups, `|`, `* + ? {m,n}` (greedy and lazy: no difference to
 * whether something matches), and `(?i)` at the beginning. Python decides where the two differ. Throws RegexError; what needs
 * backtracking (look-around, back-references, possessive and conditional groups) is refused by name.
 */
export function parseRegex(pattern: string): ParsedRegex {
  if (pattern.length > maxPatternLength) throw new RegexError(`longer than ${maxPatternLength} characters`)
  const flags = /^\(\?([a-z]+)\)/.exec(pattern)
  const unknown = flags?.[1]?.replaceAll(/[isu]/g, '')
  if (unknown) throw new RegexError(`the flag '${unknown}' is not supported`)
  const parser = new RegexParser(Array.from(pattern.slice(flags?.[0].length ?? 0)))
  return { root: parser.whole(), ignoreCase: flags?.[1]?.includes('i') ?? false }
}

class RegexParser {
  readonly #characters: readonly string[]
  #at = 0
  #depth = 0

  constructor(characters: readonly string[]) {
    this.#characters = characters
  }

  whole(): RegexNode {
    const root = this.#choice()
    if (this.#at < this.#characters.length) throw new RegexError("a ')' without its '('")
    return root
  }

  #peek(): string | undefined {
    return this.#characters[this.#at]
  }

  #take(expected: string): boolean {
    const found = this.#characters.slice(this.#at, this.#at + expected.length).join('') === expected
    if (found) this.#at += expected.length
    return found
  }

  #choice(): RegexNode {
    const choices = [this.#sequence()]
    while (this.#take('|')) choices.push(this.#sequence())
    return choices.length === 1 ? choices[0]! : { kind: 'choice', choices }
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = []
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      parts.push(this.#repeated(this.#atom(next)))
    }
    return { kind: 'sequence', parts }
  }

  #repeated(part: RegexNode): RegexNode {
    const range = this.#quantifier()
    if (!range) return part
    if (part.kind === 'assertion') throw new RegexError('nothing to repeat')
    if (this.#peek() === '+') throw new RegexError('possessive quantifiers are not supported')
    this.#take('?')
    if (this.#quantifier()) throw new RegexError('two quantifiers in a row')
    return { kind: 'repeat', part, min: range[0], max: range[1] }
  }

  #quantifier(): readonly [min: number, max: number] | undefined {
    if (this.#take('*')) return [0, Infinity]
    if (this.#take('+')) return [1, Infinity]
    if (this.#take('?')) return [0, 1]
    if (this.#peek() !== '{') return undefined
    const counted = /^\{(\d*)(,?)(\d*)\}/.exec(this.#characters.slice(this.#at, this.#at + 16).join(''))
    if (!counted || (counted[1] === '' && counted[3] === '')) return undefined
    this.#at += counted[0].length
    const min = Number(counted[1])
    const max = counted[2] === '' ? min : counted[3] === '' ? Infinity : Number(counted[3])
    if (min > max) throw new RegexError(`${counted[0]} ends before it begins`)
    if (min > maxRepeats || (max > maxRepeats && max !== Infinity)) throw new RegexError(`${counted[0]} repeats too often`)
    return [min, max]
  }

  #atom(next: string): RegexNode {
    this.#at += 1
    switch (next) {
      case '(':
        return this.#group()
      case '[':
        return { kind: 'characters', set: this.#bracketed() }
      case '.':
        return { kind: 'characters', set: { negated: false, contains: () => true } }
      case '^':
        return { kind: 'assertion', assertion: 'start' }
      case '$':
        return { kind: 'assertion', assertion: 'end' }
      case '\\':
        return this.#escaped()
      case '*':
      case '+':
      case '?':
        throw new RegexError(`nothing to repeat before '${next}'`)
      default:
        return literal(next)
    }
  }

  #group(): RegexNode {
    if (this.#take('?')) this.#groupKind()
    this.#depth += 1
    if (this.#depth > maxGroupDepth) throw new RegexError(`groups are nested more than ${maxGroupDepth} deep`)
    const inner = this.#choice()
    this.#depth -= 1
    if (!this.#take(')')) throw new RegexError("a '(' without its ')'")
    return inner
  }

  #groupKind(): void {
    if (this.#take(':')) return
    for (const begin of ['=', '!', '<=', '<!']) if (this.#take(begin)) throw new RegexError('look-around is not supported')
    if (!this.#take('P<') && !this.#take('<')) throw new RegexError(`groups that begin with '(?${this.#peek() ?? ''}' are not supported`)
    while (/\w/.test(this.#peek() ?? '')) this.#at += 1
    if (!this.#take('>')) throw new RegexError("a group's name without its '>'")
  }

  #escaped(): RegexNode {
    const letter = this.#peek()
    const assertion = assertions[letter ?? '']
    if (assertion) {
      this.#at += 1
      return { kind: 'assertion', assertion }
    }
    return { kind: 'characters', set: this.#escapedSet() }
  }

  /** After a backslash: a class, or one character. */
  #escapedSet(): CharacterSet {
    const set = classes[this.#peek() ?? '']
    if (!set) return oneOf(this.#escapedCharacter())
    this.#at += 1
    return set
  }

  #escapedCharacter(): number {
    const letter = this.#peek()
    if (letter === undefined) throw new RegexError('a backslash at the end')
    this.#at += 1
    const control = controls[letter]
    if (control !== undefined) return control
    const digits = { x: 2, u: 4, U: 8 }[letter]
    if (digits !== undefined) {
      const hex = this.#characters.slice(this.#at, this.#at + digits).join('')
      const code = Number.parseInt(hex, 16)
      if (hex.length < digits || !/^[0-9a-f]+$/i.test(hex) || code > 0x10ffff) throw new RegexError(`\\${letter}${hex} is not a character`)
      this.#at += digits
      return code
    }
    if (/[1-9]/.test(letter)) throw new RegexError('back-references are not supported')
    if (/[A-Za-z0]/.test(letter)) throw new RegexError(`\\${letter} is not an escape sequence`)
    return letter.codePointAt(0)!
  }

  /** The text between brackets; a `]` that comes first is one of the characters. */
  #bracketed(): CharacterSet {
    const negated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    const sets: CharacterSet[] = []
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      const low = this.#member(sets)
      if (low === undefined) continue
      const [dash, after] = [this.#peek(), this.#characters[this.#at + 1]]
      if (dash !== '-' || after === ']' || after === undefined) {
        ranges.push([low, low])
        continue
      }
      this.#at += 1
      const high = this.#member(sets)
      if (high === undefined || high < low) throw new RegexError('a range of characters that ends before it begins')
      ranges.push([low, high])
    }
    this.#at += 1
    const contains = (code: number): boolean =>
      ranges.some(([low, high]) => code >= low && code <= high) || sets.some((set) => set.contains(code) !== set.negated)
    return { negated, contains }
  }

  /** One character of a set; undefined where it was a class, which goes to `sets`. */
  #member(sets: CharacterSet[]): number | undefined {
    const next = this.#peek()
    if (next === undefined) throw new RegexError("a '[' without its ']'")
    this.#at += 1
    if (next !== '\\') return next.codePointAt(0)
    if (this.#take('b')) return 8
    const set = classes[this.#peek() ?? '']
    if (!set) return this.#escapedCharacter()
    this.#at += 1
    sets.push(set)
    return undefined
  }
}

function literal(character: string): RegexNode {
  return { kind: 'characters', set: oneOf(character.codePointAt(0)!) }
}

function oneOf(code: number): CharacterSet {
  return { negated: false, contains: (other) => other === code }
}

export function isWordCharacter(code: number): boolean {
  return word.test(String.fromCodePoint(code))
}

const word = /[\p{L}\p{N}_]/u
const digit = /\p{Nd}/u
const space = /\s/u

const classOf = (expression: RegExp, negated: boolean): CharacterSet => ({
  negated,
  contains: (code) => expression.test(String.fromCodePoint(code)),
})

const classes: Readonly<Record<string, CharacterSet>> = {
  d: classOf(digit, false),
  D: classOf(digit, true),
  w: classOf(word, false),
  W: classOf(word, true),
  s: classOf(space, false),
  S: classOf(space, true),
}

const assertions: Readonly<Record<string, Assertion>> = { A: 'start', Z: 'end', b: 'boundary', B: 'no boundary' }
const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7 }
