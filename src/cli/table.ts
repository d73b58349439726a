import type { CommandOutput } from './command.ts'
import { printable } from './printable.ts'
import { padColumns } from './columns.ts'
import { displayWidth } from '../runtime/display-width.ts'

/** Rows in aligned columns, the head in bold; the last column is not padded. Lines end with a newline. What would steer a terminal is taken out of cells. */
export function table(output: CommandOutput, head: readonly string[], texts: readonly (readonly string[])[]): string {
  const rows = texts.map((row) => row.map(printable))
  const widths = head.map((title, column) => Math.max(displayWidth(title), ...rows.map((row) => displayWidth(row[column] ?? ''))))
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === cells.length - 1 ? cell : padColumns(cell, widths[column] ?? 0))).join('  ')
  return [output.bold(line(head)), ...rows.map(line)].map((text) => `${text.trimEnd()}\n`).join('')
}
