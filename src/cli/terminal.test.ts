import { describe, expect, test } from 'bun:test'
import { createOutput, wantsColour } from './terminal.ts'

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

test('once the reader is gone nothing is written any more, and waiting for the rest ends', async () => {
  const written: string[] = []
  const listeners: ((error: Error) => void)[] = []
  const output = createOutput(
    {
      write: (text, done) => {
        written.push(text)
        done?.()
      },
      on: (_event, listener) => listeners.push(listener),
    },
    {},
  )
  output.write('first')
  for (const listener of listeners) listener(new Error('EPIPE'))
  output.write('second')
  await output.drained()
  expect(written).toEqual(['first'])
})
