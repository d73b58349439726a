import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { LinearRegex, maxMatchedLength } from './linear-regex.ts'
import { runs } from '../testing/sizes.ts'

const matches = (pattern: string, text: string) => new LinearRegex(pattern).matches(text)

type Pair = readonly [ours: string, theirs: string]
const same = (...texts: string[]): Pair[] => texts.map((text) => [text, text])

describe('what JavaScript matches from the start, this matches too', () => {
  /** Each pattern as we and as JavaScript write it: letters and digits are Unicode's here. Over few characters, so that they match often. */
  const join = (parts: readonly (Pair | string)[]): Pair => [
    parts.map((part) => (typeof part === 'string' ? part : part[0])).join(''),
    parts.map((part) => (typeof part === 'string' ? part : part[1])).join(''),
  ]
  const { pattern } = fc.letrec<{ pattern: Pair; atom: Pair }>((tie) => ({
    atom: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(
        ...same('a', 'b', '-', '/', '\\.', '.', '[ab]', '[^a]', '[a-c/]', '\\s', '\\S', 'é', '😀', '[^😀b-]', '\\x61'),
        ['\\d', '\\p{Nd}'] as const,
        ['\\w', '[\\p{L}\\p{N}_]'] as const,
        ['\\W', '[^\\p{L}\\p{N}_]'] as const,
        ['[\\w-]', '[\\p{L}\\p{N}_\\-]'] as const,
        ['[^\\d/]', '[^\\p{Nd}/]'] as const,
      ),
      tie('pattern').map((inner) => join(['(', inner, ')'])),
      tie('pattern').map((inner) => join(['(?:', inner, ')'])),
    ),
    pattern: fc.oneof(
      { depthSize: 'small' },
      tie('atom'),
      fc.tuple(tie('atom'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,2}', '{1,}', '{2,}', '*?', '+?')).map(join),
      fc.tuple(tie('pattern'), tie('pattern')).map(join),
      fc.tuple(tie('pattern'), fc.constant('|'), tie('pattern')).map(join),
      fc.constantFrom(...same('^', '$', '')),
    ),
  }))
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-', '/', '.', '1', ' ', '\n', 'é', '😀', '_', '٣'), maxLength: 8 })

  test('any pattern, any text', () => {
    fc.assert(
      fc.property(pattern, text, ([ours, theirs], subject) => {
        expect(matches(ours, subject)).toBe(new RegExp(`^(?:${theirs})`, 'su').test(subject))
      }),
      { numRuns: runs(5_000) },
    )
  })

  test('the boundaries of words, of ASCII', () => {
    const ascii = fc.string({ unit: fc.constantFrom('a', 'b', '-', ' '), maxLength: 6 })
    const parts = fc.array(fc.constantFrom('\\b', '\\B', 'a', 'b*', '.', '-?'), { maxLength: 6 }).map((all) => all.join(''))
    fc.assert(
      fc.property(parts, ascii, (source, subject) => {
        expect(matches(source, subject)).toBe(new RegExp(`^(?:${source})`, 'su').test(subject))
      }),
      { numRuns: runs(2_000) },
    )
  })
})

describe('the syntax', () => {
  test.each([
    ['model::gpt', 'model::gpt-4o', true],
    ['gpt', 'model::gpt', false],
    ['.*gpt$', 'model::gpt', true],
    ['.*gpt$', 'model::gpt-4o', false],
    ['(?i)MODEL::GPT', 'model::gpt', true],
    ['(?i)[^a]', 'A', false],
    ['(?P<kind>model)::x', 'model::x', true],
    ['a{,2}b', 'aab', true],
    ['a{x', 'a{x', true],
    ['[]a]+$', ']a]', true],
    ['[a-]+$', 'a-a', true],
    ['[\\]\\-]+$', ']-', true],
    ['\\Aa\\Z', 'a', true],
    ['\\x61\\u0062', 'ab', true],
    ['/v1/.*/admin', '/v1/a\nb/admin', true],
    ['\\-\\/\\:\\_', '-/:_', true],
  ])('%s on %j: %p', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected)
  })

  test.each([
    ['(', "a '(' without its ')'"],
    ['a)', "a ')' without its '('"],
    ['[a', "a '[' without its ']'"],
    ['*a', 'nothing to repeat'],
    ['^*', 'nothing to repeat'],
    ['a**', 'two quantifiers'],
    ['a++', 'possessive'],
    ['a{3,2}', 'ends before it begins'],
    ['a{5000}', 'repeats too often'],
    ['[b-a]', 'ends before it begins'],
    ['(?=a)', 'look-around'],
    ['(?<!a)', 'look-around'],
    ['(a)\\1', 'back-references'],
    ['(?P=a)', 'not supported'],
    ['(?m)a', "the flag 'm'"],
    ['\\q', 'not an escape sequence'],
    ['\\xg1', 'is not a character'],
    ['a\\', 'a backslash at the end'],
    [`${'('.repeat(80)}a${')'.repeat(80)}`, 'nested'],
    ['((a{100}){100}){100}', 'too large'],
    ['(((((){1000}){1000}){1000}){1000}){1000}', 'too large'],
    ['a'.repeat(2_000), 'longer than'],
  ])('%.30s is refused: %s', (pattern, message) => {
    expect(() => new LinearRegex(pattern)).toThrow(message)
  })

  test('any text is accepted or rejected with a RegexError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 30 }),
          fc.string({ unit: fc.constantFrom(...'()[]{}|*+?\\^$-,1ab<>P=!:'.split('')), maxLength: 20 }),
        ),
        (pattern) => {
          let regex: LinearRegex
          try {
            regex = new LinearRegex(pattern)
          } catch (error) {
            expect((error as Error).name).toBe('RegexError')
            return
          }
          expect(typeof regex.matches('ab')).toBe('boolean')
        },
      ),
      { numRuns: runs(5_000) },
    )
  })
})

test('patterns that are exponential in a backtracking engine take time proportional to the text', () => {
  const text = `${'a'.repeat(maxMatchedLength - 1)}!`
  for (const pattern of ['(a+)+$', '(a|a)*$', '(a*)*b', '(\\w|\\d|a)*-', '(.*)(.*)(.*)(.*)(.*)x$', '(a?){100}a{100}$']) {
    expect(matches(pattern, text)).toBe(false)
  }
  expect(matches('.*', 'a'.repeat(maxMatchedLength + 1))).toBeUndefined()
})
