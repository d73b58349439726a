import type { StoredTrace } from '../telemetry/store/reader.ts'
import type { CommandOutput } from './command.ts'
import { printable, printableName } from './printable.ts'
import { padColumns } from './columns.ts'

/** `850 µs`, `12.3 ms`, `4.50 s`, `3 m 20 s`. */
export function durationText(milliseconds: number): string {
  // Rounded before the unit is chosen: 999.6 ms are 1.00 s, and no minute has 60 s.
  const micros = Math.round(Math.max(0, milliseconds) * 1_000)
  if (micros < 1_000) return `${micros} µs`
  if (micros < 99_950) return `${(micros / 1_000).toFixed(1)} ms`
  if (micros < 999_500) return `${Math.round(micros / 1_000)} ms`
  if (micros < 99_995_000) return `${(micros / 1_000_000).toFixed(2)} s`
  const seconds = Math.round(micros / 1_000_000)
  return `${Math.floor(seconds / 60)} m ${seconds % 60} s`
}

/** UTC. */
export function timeText(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ')
}

/** Digits of a trace id in lists: enough to be unique, and accepted by `corral traces show`. */
const shownDigits = 12

export const traceHead = ['TIME', 'TRACE', 'STATUS', 'DURATION', 'MODEL', 'PRINCIPAL', 'TOKENS', 'COST', 'REQUEST']

export function traceCells(trace: StoredTrace): string[] {
  const { inputTokens: input, outputTokens: output, costUsd, keyId, principal, failed, kept, errorType, httpStatus } = trace
  const why = failed ? errorType : kept === 'slow' ? 'slow' : null
  return [
    timeText(trace.start),
    trace.traceId.slice(0, shownDigits),
    httpStatus === null ? (failed ? 'error' : '-') : String(httpStatus),
    durationText(trace.end - trace.start),
    printableName(trace.model ?? '-'),
    printable([principal, keyId].filter((one) => one !== null).join(' ') || '-'),
    input === null && output === null ? '-' : `${input ?? 0}+${output ?? 0}`,
    costUsd === null ? '-' : `$${costUsd.toFixed(6)}`,
    printable(trace.name) + (why === null ? '' : ` (${printable(why)})`),
  ]
}

/** A single line, in columns of default widths. */
export function traceLine(trace: StoredTrace, output: CommandOutput): string {
  const widths = [19, shownDigits, 6, 8, 24, 16, 9, 9, 0]
  const line = traceCells(trace)
    .map((cell, column) => padColumns(cell, widths[column] ?? 0))
    .join('  ')
  return `${trace.failed ? output.red(line) : line}\n`
}
