import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { displayWidth } from '../runtime/display-width.ts'
import { runs } from '../testing/sizes.ts'
import { padColumns, truncateColumns } from './columns.ts'
import { table } from './table.ts'
import { createOutput } from './terminal.ts'

const plain = createOutput({ write: () => undefined, on: () => undefined }, {})

describe('columns', () => {
  test.each([
    ['abc', 3],
    ['日本語', 6],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['', 0],
  ])('%j is %d wide', (text, width) => {
    expect(displayWidth(text)).toBe(width)
    expect(displayWidth(padColumns(text, 10))).toBe(10)
  })

  test('[ARC-6] a table with wide names is aligned', () => {
    const rows = [
      ['日本', 'x'],
      ['abc', 'y'],
    ]
    expect(table(plain, ['NAME', 'N'], rows)).toBe('NAME  N\n日本  x\nabc   y\n')
  })

  test('what is too wide ends with an ellipsis within the width, at a whole character', () => {
    expect([truncateColumns('abcdef', 4), truncateColumns('日本語', 4), truncateColumns('日本', 4)]).toEqual(['abc…', '日…', '日本'])
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.integer({ min: 1, max: 12 }), (text, width) => {
        const shown = truncateColumns(text, width)
        expect(displayWidth(shown)).toBeLessThanOrEqual(Math.max(width, 1))
        expect(text.startsWith(shown.replace(/…$/, ''))).toBe(true)
      }),
      { numRuns: runs(300) },
    )
  })
})
