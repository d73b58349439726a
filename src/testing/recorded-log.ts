import type { Log } from '../telemetry/logger.ts'

export interface RecordedLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  /** Those of the children that wrote it included. */
  fields: Readonly<Record<string, unknown>>
  message: string
}

/** A log that keeps its lines, for tests that ask what was written. */
export function recordedLog(): Log & { readonly lines: readonly RecordedLine[] } {
  const lines: RecordedLine[] = []
  return { ...writerInto(lines, {}), lines }
}

function writerInto(lines: RecordedLine[], held: object): Log {
  const write = (level: RecordedLine['level']) => (fields: object, message: string) =>
    void lines.push({ level, fields: { ...held, ...fields }, message })
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => writerInto(lines, { ...held, ...fields }),
  }
}
