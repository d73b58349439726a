import type { StoredSpan } from '../telemetry/store/reader.ts'
import type { CommandOutput } from './command.ts'
import { printable } from './printable.ts'
import { durationText } from './traces-text.ts'
import { padColumns, truncateColumns } from './columns.ts'
import { displayWidth } from '../runtime/display-width.ts'

interface TreeLine {
  readonly span: StoredSpan
  /** The prefix of its name. */
  readonly lines: string
}

/** The spans of one trace as a tree, each with a bar from when to when it ran. Lines end with a newline. */
export function drawTree(spans: readonly StoredSpan[], output: CommandOutput): string {
  if (spans.length === 0) return ''
  const branches = treeLinesOf(spans)
  const start = Math.min(...spans.map((span) => span.start))
  const total = Math.max(...spans.map((span) => span.end)) - start
  const names = branches.map(({ span, lines }) => lines + printable(span.name || '(unnamed)'))
  const columns = Math.max(60, Math.min(output.columns, 140))
  const nameWidth = Math.min(Math.max(...names.map(displayWidth)), Math.floor(columns * 0.45))
  const barWidth = columns - nameWidth - 14
  return branches
    .map(({ span }, index) => {
      const name = padColumns(truncateColumns(names[index] ?? '', nameWidth), nameWidth)
      const bar = barOf({ from: span.start - start, to: span.end - start, total }, barWidth)
      const line = `${name}  ${durationText(span.end - span.start).padStart(9)}  ${span.status === 'error' ? output.red(bar) : output.cyan(bar)}`
      return `${line.trimEnd()}\n`
    })
    .join('')
}

/** Depth first; a span without its parent (a caller's own span) is at the top level. */
function treeLinesOf(spans: readonly StoredSpan[]): TreeLine[] {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const children = Map.groupBy(spans, ({ parentSpanId, spanId }) =>
    parentSpanId !== null && parentSpanId !== spanId && ids.has(parentSpanId) ? parentSpanId : '',
  )
  const found: TreeLine[] = []
  const seen = new Set<StoredSpan>()
  const add = (parent: string, before: string | undefined): void => {
    const list = children.get(parent) ?? []
    for (const [index, span] of list.entries()) {
      if (seen.has(span)) continue
      seen.add(span)
      const isLast = index === list.length - 1
      found.push({ span, lines: before === undefined ? '' : `${before}${isLast ? '└─ ' : '├─ '}` })
      add(span.spanId, before === undefined ? '' : `${before}${isLast ? '   ' : '│  '}`)
    }
  }
  add('', undefined)
  // Whose parents are one another's.
  for (const span of spans) if (!seen.has(span)) found.push({ span, lines: '' })
  return found
}

/** Whatever ran is at least one character wide. */
function barOf({ from, to, total }: { from: number; to: number; total: number }, width: number): string {
  if (total <= 0) return '█'
  const first = Math.min(width - 1, Math.floor((from / total) * width))
  const last = Math.max(first + 1, Math.round((to / total) * width))
  return ' '.repeat(first) + '█'.repeat(last - first)
}
