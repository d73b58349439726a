/** A regular expression of a source file. */
export interface RegexLiteral {
  readonly source: string
  readonly flags: string
}

/** What a `/` after this character begins is a regular expression, not a division. */
const beforeRegex = /[([{,;:=!&|?+\-*%<>~^\n]/
const wordsBefore = /\b(?:return|typeof|case|of|in|await|yield|else|do)$/

/** A string literal, or one piece of a template between its expressions. */
export interface StringLiteral {
  readonly text: string
  /** The end of the code before it, where other strings are empty. */
  readonly before: string
}

/** A TypeScript file without comments, in its parts. */
interface SourceParts {
  /** The code, with `''` for each string or piece of a template, and nothing for regular expressions. */
  readonly code: string
  readonly strings: readonly StringLiteral[]
  readonly regexes: readonly RegexLiteral[]
}

/** Every regular expression literal of a TypeScript file, except in comments and strings. */
export function regexLiterals(text: string): readonly RegexLiteral[] {
  return sourceParts(text).regexes
}

export function sourceParts(text: string): SourceParts {
  return new Scanner(text).scan()
}

class Scanner {
  readonly #text: string
  readonly #regexes: RegexLiteral[] = []
  readonly #strings: StringLiteral[] = []
  readonly #pieces: string[] = []
  #at = 0
  /** The code so far on this line, or before it, without blanks at its end. */
  #before = '\n'

  constructor(text: string) {
    this.#text = text
  }

  scan(): SourceParts {
    this.#code(() => false)
    return { code: this.#pieces.join(''), strings: this.#strings, regexes: this.#regexes }
  }

  /** Reads code until `ends` says so, or the end. */
  #code(ends: (character: string) => boolean): void {
    let depth = 0
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at]!
      if (depth === 0 && ends(character)) return
      if (character === '{') depth += 1
      if (character === '}') depth -= 1
      if (character === '/' && this.#text[this.#at + 1] === '/') this.#skipTo('\n')
      else if (character === '/' && this.#text[this.#at + 1] === '*') this.#skipTo('*/')
      else if (character === "'" || character === '"') this.#quoted(character)
      else if (character === '`') this.#template()
      else if (character === '/' && this.#mayBegin()) this.#regex()
      else {
        if (/\S/.test(character)) this.#before = (this.#before + character).slice(-12)
        else if (!/\s$/.test(this.#before)) this.#before += ' '
        this.#pieces.push(character)
        this.#at += 1
      }
    }
  }

  #string(begin: number, end: number): void {
    this.#strings.push({ text: this.#text.slice(begin, end), before: this.#pieces.slice(-80).join('') })
    this.#pieces.push("''")
  }

  #mayBegin(): boolean {
    const before = this.#before.trimEnd()
    return before === '' || beforeRegex.test(before.at(-1)!) || wordsBefore.test(before)
  }

  #skipTo(end: string): void {
    const at = this.#text.indexOf(end, this.#at + 2)
    this.#at = at < 0 ? this.#text.length : at + (end === '\n' ? 0 : end.length)
  }

  #quoted(quote: string): void {
    const begin = this.#at + 1
    for (this.#at += 1; this.#at < this.#text.length && this.#text[this.#at] !== quote; this.#at += 1)
      if (this.#text[this.#at] === '\\') this.#at += 1
    this.#string(begin, this.#at)
    this.#at += 1
    this.#before = 'x'
  }

  #template(): void {
    let begin = this.#at + 1
    for (this.#at += 1; this.#at < this.#text.length && this.#text[this.#at] !== '`';) {
      if (this.#text[this.#at] === '\\') this.#at += 2
      else if (this.#text.startsWith('${', this.#at)) {
        this.#string(begin, this.#at)
        this.#at += 2
        this.#before = '{'
        this.#pieces.push(' ')
        this.#code((character) => character === '}')
        this.#pieces.push(' ')
        this.#at += 1
        begin = this.#at
      } else this.#at += 1
    }
    this.#string(begin, this.#at)
    this.#at += 1
    this.#before = 'x'
  }

  #regex(): void {
    const begin = this.#at + 1
    let inClass = false
    for (this.#at = begin; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text[this.#at]
      if (character === '\\') this.#at += 1
      else if (character === '[') inClass = true
      else if (character === ']') inClass = false
      else if (character === '/' && !inClass) break
    }
    const source = this.#text.slice(begin, this.#at)
    const flags = /^[a-z]*/.exec(this.#text.slice(this.#at + 1, this.#at + 10))![0]
    this.#at += 1 + flags.length
    this.#before = 'x'
    this.#pieces.push(' ')
    this.#regexes.push({ source, flags })
  }
}
