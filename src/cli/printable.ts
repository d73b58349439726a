/**
 * A text as it may stand in a line on a terminal. Names and messages come from elsewhere: nothing in them may move the cursor, colour what follows, turn
 * the direction of writing or begin a line of its own. Line breaks become spaces.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\r\n\t\p{Zl}\p{Zp}]+/gu, ' ').replaceAll(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '\u{FFFD}')
}

/** The same with at most `most` characters (UTF-16 units): callers may name a model as they like. */
export function printableName(text: string, maxLength = 80): string {
  return printable(text.length > maxLength ? `${text.slice(0, maxLength)}…` : text)
}
