import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { readCreateKeyOptions } from './keys-input.ts'
import { readMoment, readTime } from './times.ts'
import { durationText } from './traces-text.ts'

const now = Date.UTC(2027, 0, 31, 12)

test('a time is so long ago, a day or a moment, and UTC unless it says otherwise', () => {
  expect(readTime('since', undefined, now)).toBeUndefined()
  expect(readTime('since', '30m', now)).toBe(now - 1_800_000)
  expect(readTime('since', '2w', now)).toBe(now - 14 * 86_400_000)
  expect(readTime('since', '1y', now)).toBe(now - 365 * 86_400_000)
  expect(readTime('since', '999999y', now)).toBe(0)
  expect(readTime('since', '2027-01-31', now)).toBe(Date.UTC(2027, 0, 31))
  expect(readTime('since', '2027-01-31T08:00', now)).toBe(Date.UTC(2027, 0, 31, 8))
  expect(readTime('since', '2027-01-31T08:00:30.5+02:00', now)).toBe(Date.UTC(2027, 0, 31, 6, 0, 30, 500))
  for (const text of ['', '1', '0', '5x', '1e9d', '99999999d', 'soon', '2027', '2027-13-01', '2027-01-31T25:00', '31.1.2027']) {
    expect(() => readTime('since', text, now)).toThrow(`--since: invalid time '${text}'.`)
  }
})

test('without a zone it is UTC, wherever this machine is', () => {
  const { TZ } = process.env
  process.env.TZ = 'Pacific/Auckland'
  try {
    expect(new Date(now).getTimezoneOffset()).not.toBe(0)
    expect(readMoment('2027-01-31')).toBe(Date.UTC(2027, 0, 31))
    expect(readMoment('2027-01-31T08:00')).toBe(Date.UTC(2027, 0, 31, 8))
    expect(readTime('since', '2027-01-31T08:00:30', now)).toBe(Date.UTC(2027, 0, 31, 8, 0, 30))
    expect(readMoment('2027-01-31T08:00+0200')).toBe(Date.UTC(2027, 0, 31, 6))
    const expiring = { name: 'x', as: undefined, attribute: [], model: [], api: [], limit: [] }
    expect(readCreateKeyOptions({ ...expiring, expires: '2027-01-31T13:00' }, now).expires_at).toBe(Date.UTC(2027, 0, 31, 13) / 1000)
  } finally {
    if (TZ === undefined) delete process.env.TZ
    else process.env.TZ = TZ
  }
})

function inMicros(text: string): number {
  const [, minutes = '0', number = '', unit = ''] = /^(?:(\d+) m )?([\d.]+) (µs|ms|s)$/.exec(text) ?? []
  expect([text, number === '']).toEqual([text, false])
  if (minutes !== '0') expect(Number(number)).toBeLessThan(60)
  return Number(minutes) * 6e7 + Number(number) * { µs: 1, ms: 1e3, s: 1e6 }[unit as 'µs' | 'ms' | 's']
}

test('durations: no minute has 60 s, no second 1000 ms, and longer ones never look shorter', () => {
  expect([0, 0.85, 12.3, 999.6, 4_500, 119_900, 200_000, 3_600_000].map(durationText)).toEqual([
    '0 µs',
    '850 µs',
    '12.3 ms',
    '1.00 s',
    '4.50 s',
    '2 m 0 s',
    '3 m 20 s',
    '60 m 0 s',
  ])
  const time = fc.oneof(
    fc.double({ min: 0, max: 1e7, noNaN: true }),
    fc.integer({ min: 0, max: 200_000 }).map((at) => at - 0.4),
  )
  fc.assert(
    fc.property(time, time, (a, b) => {
      const [shorter, longer] = a < b ? [a, b] : [b, a]
      expect(inMicros(durationText(longer))).toBeGreaterThanOrEqual(inMicros(durationText(shorter)))
    }),
  )
})
