import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { nestsDeeperThan } from './json-depth.ts'

const encode = (text: string) => new TextEncoder().encode(text)

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('the depth found in the bytes is the depth of the parsed value', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (json) => {
      const depth = depthOf(JSON.parse(json))
      expect(nestsDeeperThan(depth, encode(json))).toBe(false)
      if (depth > 0) expect(nestsDeeperThan(depth - 1, encode(json))).toBe(true)
    }),
  )
})

test('brackets inside of strings do not count, whatever is escaped around them', () => {
  const piece = fc.constantFrom('[', '{', ']', '}', '"', '\\', 'a', '\n', 'é')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
      expect(nestsDeeperThan(1, encode(JSON.stringify([pieces.join(''), pieces.join('').repeat(3)])))).toBe(false)
    }),
  )
})

test('text that is not JSON, or ends in the middle, ends the scan', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(typeof nestsDeeperThan(3, bytes)).toBe('boolean')
    }),
  )
  expect(nestsDeeperThan(3, encode('"\\'))).toBe(false)
})

test('the keys of the outermost object are found on the way', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 3 })),
      fc.constantFrom(undefined, 2),
      (object, space) => {
        const bytes = encode(JSON.stringify(object, null, space))
        const outline = { keys: [] as number[], nestedMembers: 0 }
        nestsDeeperThan(100, bytes, outline)
        const { keys } = outline
        const found = Array.from({ length: keys.length / 2 }, (_, at) =>
          new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(keys[at * 2], keys[at * 2 + 1])),
        )
        expect(found.map((key) => JSON.parse(`"${key}"`))).toEqual(Object.keys(JSON.parse(JSON.stringify(object)) as object))
      },
    ),
  )
})
