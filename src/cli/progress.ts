import type { CommandContext } from './command.ts'

/** Shows how far a long transfer is: a bar that redraws itself on a terminal, a line every tenth part elsewhere. */
interface Progress {
  /** Both in bytes; `total` is undefined if unknown. */
  update(done: number, total: number | undefined): void
  /** Ends the line. */
  finish(): void
}

const redrawEvery = 100

export function startProgress(context: Pick<CommandContext, 'stderr'>, label: string): Progress {
  const { stderr } = context
  const startedAt = Date.now()
  let startedWith: number | undefined
  let drawnAt = 0
  let reportedTenths = -1
  let last: [number, number | undefined] | undefined

  function bar(done: number, total: number | undefined): string {
    const seconds = Math.max((Date.now() - startedAt) / 1000, 0.001)
    const rate = `${formatBytes((done - (startedWith ?? 0)) / seconds)}/s`
    if (!total) return `${label}  ${formatBytes(done)}  ${rate}`
    const share = Math.min(done / total, 1)
    const figures = `${String(Math.floor(share * 100)).padStart(3)} %  ${formatBytes(done)} of ${formatBytes(total)}  ${rate}`
    const width = Math.max(0, Math.min(30, stderr.columns - label.length - figures.length - 7))
    const full = Math.round(share * width)
    return width < 5 ? `${label}  ${figures}` : `${label}  [${'█'.repeat(full)}${'·'.repeat(width - full)}]  ${figures}`
  }

  return {
    update(done, total) {
      startedWith ??= done
      last = [done, total]
      if (stderr.isTerminal) {
        if (Date.now() - drawnAt < redrawEvery) return
        drawnAt = Date.now()
        stderr.write(`\r\u001B[K${bar(done, total)}`)
        return
      }
      const tenths = total ? Math.floor((done / total) * 10) : -1
      if (tenths <= reportedTenths) return
      reportedTenths = tenths
      stderr.write(`${bar(done, total)}\n`)
    },
    finish() {
      if (stderr.isTerminal && last) stderr.write(`\r\u001B[K${bar(...last)}\n`)
    },
  }
}

/** `1.5 MB`: decimal units, as download pages use them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = Math.max(bytes, 0)
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
