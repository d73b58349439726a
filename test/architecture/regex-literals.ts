/** A regular expression as it stands in a source file. */
export interface RegexLiteral {
  readonly source: string
  readonly flags: string
}

/** What a `/` after this character begins is a regular expression, not a division. */
const beforeRegex = /[([{,;:=!&|?+\-*%<>~^\n]/
const wordsBefore = /\b(?:return|typeof|case|of|in|await|yield|else|do)$/

/** Every regular expression literal of a TypeScript file, comments, texts and templates left out. */
export function regexLiterals(text: string): RegexLiteral[] {
  return new Scanner(text).scan()
}

class Scanner {
  readonly #text: string
  readonly #found: RegexLiteral[] = []
  #at = 0
  /** The code so far on this line, or before it, without blanks at its end. */
  #before = '\n'

  constructor(text: string) {
    this.#text = text
  }

  scan(): RegexLiteral[] {
    this.#code(() => false)
    return this.#found
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
        this.#at += 1
      }
    }
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
    for (this.#at += 1; this.#at < this.#text.length && this.#text[this.#at] !== quote; this.#at += 1)
      if (this.#text[this.#at] === '\\') this.#at += 1
    this.#at += 1
    this.#before = 'x'
  }

  #template(): void {
    for (this.#at += 1; this.#at < this.#text.length && this.#text[this.#at] !== '`';) {
      if (this.#text[this.#at] === '\\') this.#at += 2
      else if (this.#text.startsWith('${', this.#at)) {
        this.#at += 2
        this.#before = '{'
        this.#code((character) => character === '}')
        this.#at += 1
      } else this.#at += 1
    }
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
    this.#found.push({ source, flags })
  }
}
