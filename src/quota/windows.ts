import type { Period } from '../call.ts'
import type { CountingWindow } from './counters.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const week = 7 * day
/** 1 January 1970 was a Thursday; weeks begin on Mondays. */
const firstMonday = 4 * day

const lengths: Readonly<Record<Exclude<Period, 'month'>, number>> = { second, minute, hour, day, week }

/** The window of `period` that `now` (Unix milliseconds) lies in: UTC, weeks from Monday, months as in the calendar. Every time lies in exactly one. */
export function windowAt(period: Period, now: number): CountingWindow {
  if (period === 'month') return monthAt(now)
  const length = lengths[period]
  const offset = period === 'week' ? firstMonday : 0
  const start = Math.floor((now - offset) / length) * length + offset
  return { start, end: start + length }
}

function monthAt(now: number): CountingWindow {
  const date = new Date(now)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
  return { start: firstOf(year, month), end: firstOf(year, month + 1) }
}

/** Date.UTC takes the years 0 to 99 for 1900 to 1999. */
function firstOf(year: number, month: number): number {
  return new Date(0).setUTCFullYear(year, month, 1)
}

export function isWithin(window: CountingWindow, now: number): boolean {
  return now >= window.start && now < window.end
}

/**
 * Milliseconds for which a window's count is kept after its end, and still holds: a process whose clock is behind by less takes from the window that is
 * past for others, and finds there what has been taken. From a minute for short windows to an hour for long ones.
 */
export function graceOf(window: CountingWindow): number {
  return Math.min(Math.max(window.end - window.start, minute), hour)
}
