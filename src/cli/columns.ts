import { displayWidth } from '../runtime/display-width.ts'

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The text with spaces after it, up to a width in columns. */
export function padColumns(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)))
}

/** The start of a text that is wider than `width` columns, with an ellipsis. Characters are never split. */
export function truncateColumns(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let start = ''
  let used = 1
  for (const { segment } of graphemes.segment(text)) {
    used += displayWidth(segment)
    if (used > width) break
    start += segment
  }
  return `${start}…`
}
