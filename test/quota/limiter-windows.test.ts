import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { type Period, periods } from '../../src/call.ts'
import { graceOf, isWithin, windowAt } from '../../src/quota/windows.ts'
import { runs } from '../../src/testing/sizes.ts'

/** Times from 1900 to 2200. */
const times = fc.integer({ min: Date.UTC(1900, 0, 1), max: Date.UTC(2200, 0, 1) })
const anyPeriod = fc.constantFrom<Period>(...periods)
const utc = (milliseconds: number) => new Date(milliseconds).toISOString()

const days = (year: number, month: number) => {
  const { start, end } = windowAt('month', Date.UTC(year, month, 15))
  return (end - start) / 86_400_000
}

describe('windows of time', () => {
  test('[QUO-10] every moment lies in one window, and the next begins where it ends', () => {
    fc.assert(
      fc.property(anyPeriod, times, (period, now) => {
        const window = windowAt(period, now)
        expect(isWithin(window, now)).toBe(true)
        expect(windowAt(period, window.start)).toEqual(window)
        expect(windowAt(period, window.end - 1)).toEqual(window)
        expect(windowAt(period, window.end).start).toBe(window.end)
        expect(windowAt(period, window.start - 1).end).toBe(window.start)
      }),
      { numRuns: runs(3000) },
    )
  })

  test('[QUO-10] a clock that goes back comes to an earlier window or stays in its own', () => {
    fc.assert(
      fc.property(anyPeriod, times, fc.nat(2 ** 40), (period, now, returned) => {
        const [later, earlier] = [windowAt(period, now), windowAt(period, now - returned)]
        expect(earlier.end <= later.start || (earlier.start === later.start && earlier.end === later.end)).toBe(true)
      }),
      { numRuns: runs(3000) },
    )
  })

  test('[QUO-10] they begin where the calendar says, in UTC', () => {
    fc.assert(
      fc.property(times, (now) => {
        const moment = utc(now)
        const start = (period: Period) => utc(windowAt(period, now).start)
        expect(start('second')).toBe(`${moment.slice(0, 19)}.000Z`)
        expect(start('minute')).toBe(`${moment.slice(0, 16)}:00.000Z`)
        expect(start('hour')).toBe(`${moment.slice(0, 13)}:00:00.000Z`)
        expect(start('day')).toBe(`${moment.slice(0, 10)}T00:00:00.000Z`)
        expect(start('month')).toBe(`${moment.slice(0, 7)}-01T00:00:00.000Z`)
        const week = windowAt('week', now)
        expect([new Date(week.start).getUTCDay(), utc(week.start).slice(10), week.end - week.start]).toEqual([
          1,
          'T00:00:00.000Z',
          604_800_000,
        ])
      }),
      { numRuns: runs(2000) },
    )
  })

  test('[QUO-10] months are as long as the calendar has them', () => {
    const year = Array.from({ length: 12 }, (_, month) => days(2026, month))
    expect(year).toEqual([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    expect([2000, 2024, 2100, 2028].map((leap) => days(leap, 1))).toEqual([29, 29, 28, 29])
    expect(utc(windowAt('month', Date.UTC(2026, 11, 31, 23, 59, 59, 999)).end)).toBe('2027-01-01T00:00:00.000Z')
  })

  test('[QUO-8] counts outlive their window by a minute to an hour', () => {
    const graces = periods.map((period) => graceOf(windowAt(period, 0)) / 1000)
    expect(graces).toEqual([60, 60, 3600, 3600, 3600, 3600])
  })
})
