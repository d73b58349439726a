import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { editDistance, nearest } from './nearest.ts'

test('the nearest word is found within a third of its length', () => {
  expect(nearest('prot', ['port', 'host'])).toBe('port')
  expect(nearest('provider', ['providers', 'port'])).toBe('providers')
  expect(nearest('PORT', ['port'])).toBe('port')
  expect(nearest('xyzzy', ['port', 'host'])).toBeUndefined()
  expect(nearest('', ['port'])).toBeUndefined()
})

test('the distance is zero for equal words, symmetric, and at most the longer length', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b)
      expect(distance).toBe(editDistance(b, a))
      expect(distance === 0).toBe(a === b)
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
    }),
  )
})
