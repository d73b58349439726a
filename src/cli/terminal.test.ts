import { expect, test } from 'bun:test'
import { createOutput } from './terminal.ts'

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
  for (const listener of listeners) listener(Object.assign(new Error('gone'), { code: 'EPIPE' }))
  output.write('second')
  await output.drained()
  expect(written).toEqual(['first'])
})
