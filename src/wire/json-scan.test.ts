import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { maxDepth, Members, scanObject } from './json-scan.ts'
import { runs } from '../testing/sizes.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Agrees with JSON.parse on whether `text` is an object, and on the value of each of its keys. */
function agrees(text: string): void {
  const bytes = encoder.encode(text)
  const members = new Members()
  const object = parsed(decoder.decode(bytes))
  expect(scanObject(bytes, 0, bytes.length, members)).toBe(object !== undefined)
  if (!object) return
  for (const [key, value] of Object.entries(object)) {
    const member = members.find(bytes, encoder.encode(key))
    expect(member).toBeGreaterThanOrEqual(0)
    expect(JSON.parse(decoder.decode(bytes.subarray(members.valueStart(member), members.valueEnd(member))))).toEqual(value)
  }
  expect(members.find(bytes, encoder.encode('no such key'))).toBe(-1)
}

const json = fc.json({ maxDepth: 6 })
const spaced = fc
  .tuple(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(undefined, 1, '\t'))
  .map(([value, space]) => JSON.stringify(value, null, space))

test('takes what JSON.parse takes and finds the same values', () => {
  fc.assert(fc.property(fc.oneof(json, spaced), agrees))
})

test('rejects what JSON.parse rejects, at any byte', () => {
  const broken = fc
    .tuple(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })),
      fc.nat(),
      fc.constantFrom(...'{}[]":,\\0-.eEtfn \n\u0000\u0001x/u'.split('')),
      fc.nat(2),
    )
    .map(([object, at, char, mode]) => {
      const text = JSON.stringify(object)
      const place = at % (text.length + 1)
      if (mode === 0) return text.slice(0, place) + char + text.slice(place)
      if (mode === 1) return text.slice(0, place) + char + text.slice(place + 1)
      return text.slice(0, place) + text.slice(place + 1)
    })
  fc.assert(fc.property(broken, agrees), { numRuns: runs(1000) })
})

test.each([
  '{"a":1,"a":2}',
  '{"mod\\u0065l":1}',
  '{"model":1,"mod\\u0065l":2}',
  '{"\\"":1,"\\\\":2}',
  ' \t\r\n{ } ',
  '{"a":}',
  '{"a":1,}',
  '{,"a":1}',
  '{"a" 1}',
  '{"a":01}',
  '{"a":-}',
  '{"a":1.}',
  '{"a":1e}',
  '{"a":-0.5e-10}',
  '{"a":"\\x"}',
  '{"a":"\\u12g4"}',
  '{"a":"\u0000"}',
  '{"a":[1,]}',
  '{"a":[,1]}',
  '{"a":{"b"}}',
  '{"a":[}',
  '{"a":{]}',
  '{"a":nul}',
  '{"a":tru',
  '{"a":1}x',
  '{"a":1}{}',
  '[]',
  '"a"',
  '',
  '{',
  '{"a',
])('judges %p as JSON.parse does', agrees)

test('does not read past the given end', () => {
  const bytes = encoder.encode('{"a":1}{"b":2}')
  const members = new Members()
  expect(scanObject(bytes, 0, 7, members)).toBe(true)
  expect(scanObject(bytes, 7, 14, members)).toBe(true)
  expect(scanObject(bytes, 0, 6, members)).toBe(false)
  expect(scanObject(bytes, 0, 14, members)).toBe(false)
  expect(scanObject(encoder.encode('{"a":"b"}'), 0, 7, members)).toBe(false)
})

function acceptsNested(levels: number): boolean[] {
  return [`{"a":${'['.repeat(levels)}1${']'.repeat(levels)}}`, `{"a":1,"b":${'{"c":'.repeat(levels)}1${'}'.repeat(levels)}}`].map(
    (text) => {
      const bytes = encoder.encode(text)
      return scanObject(bytes, 0, bytes.length, new Members())
    },
  )
}

test('[HST-1] accepts values of max depth and refuses deeper ones', () => {
  expect(acceptsNested(maxDepth)).toEqual([true, true])
  expect(acceptsNested(maxDepth + 1)).toEqual([false, false])
  expect(acceptsNested(100_000)).toEqual([false, false])
})
