import { describe, expect, test } from 'bun:test'
import { wantsColour } from './colour.ts'

describe('colour', () => {
  test('is on a terminal only, and never on a dumb one', () => {
    expect(wantsColour({}, true)).toBe(true)
    expect(wantsColour({}, false)).toBe(false)
    expect(wantsColour({ TERM: 'dumb' }, true)).toBe(false)
  })

  test('is taken away by NO_COLOR and forced by FORCE_COLOR', () => {
    expect(wantsColour({ NO_COLOR: '1' }, true)).toBe(false)
    expect(wantsColour({ NO_COLOR: '' }, true)).toBe(true)
    expect(wantsColour({ FORCE_COLOR: '1' }, false)).toBe(true)
    expect(wantsColour({ FORCE_COLOR: '0' }, true)).toBe(false)
    expect(wantsColour({ FORCE_COLOR: '1', NO_COLOR: '1' }, false)).toBe(true)
  })
})
