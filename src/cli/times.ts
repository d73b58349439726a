import { usageError } from './command.ts'

const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 365 * 86_400_000 }

const day = /^\d{4}-\d\d-\d\d$/
const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?$/

/**
 * The time that an option names, in Unix milliseconds: so long before now, or a date (its first moment) or a time of ISO 8601, UTC where it names no
 * zone, since all that is shown is UTC; never before 1970. Throws a usage error for anything else.
 */
export function readTime(option: string, text: string | undefined, now = Date.now()): number | undefined {
  if (text === undefined) return undefined
  const ago = readDuration(text)
  if (ago !== undefined) return Math.max(0, now - ago)
  const time = readMoment(text)
  if (time === undefined)
    throw usageError(`--${option}: invalid time '${text}'.`, 'E.g. 2026-11-01, 2026-11-01T08:00Z, 1y, 30d, 24h or 30m.')
  return time
}

/** Milliseconds of `90d`, `12h`, `30m` …, a year of 365 days; undefined: not written like that. */
export function readDuration(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,6})([mhdwy])$/.exec(text) ?? []
  return number === undefined ? undefined : Number(number) * (units[unit] ?? Number.NaN)
}

/** Unix milliseconds of a date (its first moment, UTC) or a time of ISO 8601, UTC where it names no zone; undefined: it is neither. */
export function readMoment(text: string): number | undefined {
  const found = moment.exec(text)
  if (!found && !day.test(text)) return undefined
  const time = Date.parse(found && found[1] === undefined ? `${text}Z` : text)
  return Number.isNaN(time) ? undefined : time
}
