import type { Output } from './command.ts'

/** Rows in aligned columns, the head in bold; the last column is not padded. Lines end with a newline. */
export function table(output: Output, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ')
  return [output.bold(line(head)), ...rows.map(line)].map((text) => `${text.trimEnd()}\n`).join('')
}
