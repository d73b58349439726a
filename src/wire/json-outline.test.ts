import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { runs } from '../testing/sizes.ts'
import { type OutlineLimits, outlineOf } from './json-outline.ts'

const encode = (text: string) => new TextEncoder().encode(text)

const exceeded = (json: Uint8Array, limits: Partial<OutlineLimits>) =>
  outlineOf(json, { depth: Infinity, members: Infinity, ...limits }).exceeded

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('the depth found in the bytes is the depth of the parsed value', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (json) => {
      const depth = depthOf(JSON.parse(json))
      expect(exceeded(encode(json), { depth })).toBeUndefined()
      if (depth > 0) expect(exceeded(encode(json), { depth: depth - 1 })).toBe('depth')
    }),
  )
})

test('brackets inside strings do not count, with any escapes around them', () => {
  const piece = fc.constantFrom('[', '{', ']', '}', '"', '\\', 'a', '\n', 'é')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
      expect(exceeded(encode(JSON.stringify([pieces.join(''), pieces.join('').repeat(3)])), { depth: 1, members: 0 })).toBeUndefined()
    }),
  )
})

test('text that is not JSON, or ends in the middle, ends the scan', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect([undefined, 'depth']).toContain(exceeded(bytes, { depth: 3 }))
    }),
  )
  expect(exceeded(encode('"\\'), { depth: 3 })).toBeUndefined()
})

/** Members of all objects in a value. */
function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const inside = Object.values(value).reduce((sum: number, one) => sum + membersOf(one), 0)
  return inside + (Array.isArray(value) ? 0 : Object.keys(value).length)
}

const numbers = fc.array(fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })), { maxLength: 60 })
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('"', '\\', ':', '{"a":1}', '[', 'x'.repeat(100)),
      fc.boolean(),
      fc.constant(null),
    ),
    numbers,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string({ unit: 'binary', maxLength: 3 }), fc.constantFrom('a:', '"{')), tie('tree'), { maxKeys: 4 }),
  ),
}))

test('[BND-1] members are counted, and those of the outermost object found, with their values', () => {
  fc.assert(
    fc.property(tree, fc.constantFrom(undefined, 2, 12), (value, space) => {
      const text = JSON.stringify(value, null, space)
      const bytes = encode(text)
      const parsed: unknown = JSON.parse(text)
      const all = membersOf(parsed)
      expect(exceeded(bytes, { members: all })).toBeUndefined()
      if (all > 0) expect(exceeded(bytes, { members: all - 1 })).toBe('members')
      const { top, nested } = outlineOf(bytes, { depth: 256, members: all })
      const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      expect(top.count).toBe(isObject ? Object.keys(parsed).length : 0)
      if (!isObject) return
      expect(nested).toEqual(Object.values(parsed).map(membersOf))
      const decode = (start: number, end: number) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(start, end))
      const found = Array.from({ length: top.count }, (_, at) => [
        JSON.parse(`"${decode(top.at[at * 4] as number, top.at[at * 4 + 1] as number)}"`),
        JSON.parse(decode(top.valueStart(at), top.valueEnd(at))),
      ])
      expect(found).toEqual(Object.entries(parsed))
      expect([bytes[top.open - 1], bytes[top.close]]).toEqual([0x7b, 0x7d])
      expect(top.escapedKeys).toBe(Object.keys(parsed).some((key) => JSON.stringify(key).includes('\\')))
    }),
    { numRuns: runs(3000) },
  )
})
