import { usageError } from './command.ts'

const minute = 60_000
const units: Readonly<Record<string, number>> = { m: minute, h: 60 * minute, d: 1440 * minute, w: 10_080 * minute }

const day = /^\d{4}-\d\d-\d\d$/
const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?$/

/**
 * The time that an option names, in Unix milliseconds: so long before now, or a date (its first moment) or a time of ISO 8601, UTC where it names no
 * zone, since all that is shown is UTC. Throws a usage error for anything else.
 */
export function readTime(option: string, text: string | undefined, now = Date.now()): number | undefined {
  if (text === undefined) return undefined
  const [, number, unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? []
  if (number !== undefined) return now - Number(number) * (units[unit] ?? Number.NaN)
  const found = moment.exec(text)
  const time = found ? Date.parse(found[1] === undefined ? `${text}Z` : text) : day.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw usageError(`--${option} '${text}' is no time.`, 'Write 2026-11-01, 2026-11-01T08:00Z, 30d, 24h or 30m.')
  return time
}
