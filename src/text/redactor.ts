import { LinearRegex } from './linear-regex.ts'

const mask = Array.from('***', (character) => character.codePointAt(0)!)
/** Code points that are put together at once. */
const piece = 4_096

/** Masks the matches of the patterns, in the patterns' order. Takes time in proportion to the text. Throws RegexError where one cannot be read. */
export function createRedactor(patterns: readonly string[]): (text: string) => string {
  const regexes = patterns.map((pattern) => new LinearRegex(pattern))
  if (regexes.length === 0) return (text) => text
  return (text) => {
    let codes = Array.from(text, (character) => character.codePointAt(0)!)
    for (const regex of regexes) codes = masked(codes, regex)
    return toText(codes)
  }
}

function masked(codes: readonly number[], regex: LinearRegex): number[] {
  const out: number[] = []
  let at = 0
  for (let match = regex.find(codes, at); match; match = regex.find(codes, at)) {
    for (let index = at; index < match.start; index++) out.push(codes[index]!)
    out.push(...mask)
    at = match.end
  }
  for (let index = at; index < codes.length; index++) out.push(codes[index]!)
  return out
}

function toText(codes: readonly number[]): string {
  let text = ''
  for (let at = 0; at < codes.length; at += piece) text += String.fromCodePoint(...codes.slice(at, at + piece))
  return text
}
