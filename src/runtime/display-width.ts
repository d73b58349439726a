/** Columns that a text takes on a terminal: two for wide characters, none for combining ones. */
export function displayWidth(text: string): number {
  return Bun.stringWidth(text)
}
