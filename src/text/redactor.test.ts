import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { createRedactor } from './redactor.ts'
import { runs } from '../testing/sizes.ts'

test('every match of a pattern is masked, the longest match first', () => {
  const redact = createRedactor(['[\\w.+-]+@[\\w-]+\\.[\\w.]+', '\\b\\d{3}-\\d{2}-\\d{4}\\b', 'sk-\\w+'])
  expect(redact('mail alice@example.com now, 123-45-6789 and sk-abc123!')).toBe('mail *** now, *** and ***!')
  expect(createRedactor(['ab|abc'])('xabcx')).toBe('x***x')
  expect(createRedactor(['a*'])('baab')).toBe('b***b')
  expect(createRedactor(['👍+'])('a👍👍b')).toBe('a***b')
  expect(createRedactor([])('as it is')).toBe('as it is')
})

test('greedy patterns match what JavaScript matches', () => {
  const patterns = ['a+b', '(?:a|b)c?', '^a', 'c$', 'a{2,3}', 'b[ac]*', '\\ba', '[^a]+']
  fc.assert(
    fc.property(fc.constantFrom(...patterns), fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' '), maxLength: 12 }), (pattern, text) => {
      expect(createRedactor([pattern])(text)).toBe(text.replaceAll(new RegExp(pattern, 'g'), '***'))
    }),
    { numRuns: runs(2_000) },
  )
})

test('texts are long, and patterns hard', () => {
  for (const pattern of ['.*secret', '(a+)+$', '\\w+@', '(?:a|aa)+b']) {
    expect(createRedactor([pattern])('a'.repeat(20_000) + ' ')).toBeString()
  }
})
