import { LinearRegex } from '../text/linear-regex.ts'

/** What a policy's resource or path must be. */
export type TextPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'exact'; readonly text: string }
  | { readonly kind: 'prefix'; readonly text: string }
  | { readonly kind: 'regex'; readonly regex: LinearRegex }

const regexPrefix = 'regex:'

/** `regex:<expression>` as a pattern; undefined: written in another way. Throws RegexError. */
export function regexPattern(text: string): TextPattern | undefined {
  return text.startsWith(regexPrefix) ? { kind: 'regex', regex: new LinearRegex(text.slice(regexPrefix.length)) } : undefined
}

/** Exact, or a prefix if it ends in `*`. Undefined: it has a `*` elsewhere. */
export function plainPattern(text: string): TextPattern | undefined {
  const star = text.indexOf('*')
  if (star < 0) return { kind: 'exact', text }
  return star === text.length - 1 ? { kind: 'prefix', text: text.slice(0, -1) } : undefined
}

/** Undefined: the text is too long for a regular expression; callers must then decide against the principal. */
export function matchesText(pattern: TextPattern, text: string): boolean | undefined {
  switch (pattern.kind) {
    case 'any':
      return true
    case 'exact':
      return pattern.text === text
    case 'prefix':
      return text.startsWith(pattern.text)
    default:
      return pattern.regex.matches(text)
  }
}
