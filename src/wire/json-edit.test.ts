import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { editObject, encodeJson } from './json-edit.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function edit(text: string, edits: Record<string, unknown>): string {
  const map = new Map(Object.entries(edits).map(([key, value]) => [key, value === undefined ? undefined : encodeJson(value)]))
  return decoder.decode(editObject(encoder.encode(text), map))
}

test('leaves every other byte alone', () => {
  const text = '{ "model" : "a/b" ,\n "temperature": 1.0, "seed": 12345678901234567890, "x": "\\u00e9" }'
  expect(edit(text, { model: 'b' })).toBe('{ "model" : "b" ,\n "temperature": 1.0, "seed": 12345678901234567890, "x": "\\u00e9" }')
  expect(edit(text, { x: undefined })).toBe('{ "model" : "a/b" ,\n "temperature": 1.0, "seed": 12345678901234567890 }')
  expect(edit(text, { model: undefined, temperature: undefined })).toBe('{ "seed": 12345678901234567890, "x": "\\u00e9" }')
})

test.each([
  ['{}', { a: 1 }, '{"a":1}'],
  ['{ }', { a: 1 }, '{"a":1 }'],
  ['{"a":1}', { a: undefined }, '{}'],
  ['{"a":1}', { a: undefined, b: 2 }, '{"b":2}'],
  ['{"a":1,"b":2,"c":3}', { b: undefined, c: undefined }, '{"a":1}'],
  ['{"a":1,"b":2,"c":3}', { a: undefined, b: undefined }, '{"c":3}'],
  ['{"a":1,"b":2,"a":3}', { a: 4 }, '{"b":2,"a":4}'],
  ['{"a":1,"\\u0061":3,"b":2}', { a: 4 }, '{"\\u0061":4,"b":2}'],
  ['{"a":1,"b":2,"a":3}', { a: undefined }, '{"b":2}'],
  ['{"a":1}', {}, '{"a":1}'],
  ['{"a":1}', { b: undefined }, '{"a":1}'],
])('edits %s', (text, edits, expected) => {
  expect(edit(text, edits)).toBe(expected)
})

test('means what the same edit of the parsed object means', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'model', 'é', '"', '\\', '__proto__x')
  const value = fc.jsonValue({ maxDepth: 2 })
  fc.assert(
    fc.property(
      fc.dictionary(key, value),
      fc.dictionary(key, fc.option(value, { nil: undefined })),
      fc.constantFrom(undefined, 1),
      (object, edits, space) => {
        const expected = { ...object, ...edits }
        expect(JSON.parse(edit(JSON.stringify(object, null, space), edits))).toEqual(JSON.parse(JSON.stringify(expected)))
      },
    ),
  )
})

test('rejects bytes that are not an object', () => {
  expect(() => edit('[1]', { a: 1 })).toThrow(SyntaxError)
})
