import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ApiError } from '../../../child-contract.ts'
import { toGrammarSchema } from './json-schema.ts'

const loose = { param: 'schema', strict: false }

describe('a JSON schema for a grammar', () => {
  test.each([
    [
      'an optional property is written all the same',
      { type: 'object', properties: { a: { type: 'string' } } },
      { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false },
    ],
    ['an object without properties is any object', { type: 'object' }, { type: 'object', properties: {}, additionalProperties: true }],
    ['several types are alternatives', { type: ['string', 'null'] }, { oneOf: [{ type: 'string' }, { type: 'null' }] }],
    ['anyOf is oneOf', { anyOf: [{ const: 1 }, { enum: ['a'] }] }, { oneOf: [{ const: 1 }, { enum: ['a'] }] }],
    ['an allOf of one is that one', { allOf: [{ type: 'integer' }] }, { type: 'integer' }],
    [
      'counts of strings and lists are kept',
      { type: 'array', items: { type: 'string', maxLength: 3 }, minItems: 1 },
      { type: 'array', items: { type: 'string', maxLength: 3 }, minItems: 1 },
    ],
    ['what cannot be enforced is left out unless strict', { type: 'number', minimum: 3 }, { type: 'number' }],
  ])('%s', (_, schema, expected) => {
    expect(toGrammarSchema(schema, loose)).toEqual(expected as never)
  })

  test('definitions may refer to one another and to the whole', () => {
    const schema = {
      type: 'object',
      properties: { next: { anyOf: [{ $ref: '#' }, { $ref: '#/definitions/leaf' }] } },
      definitions: { leaf: { type: 'null' } },
    }
    const grammar = toGrammarSchema(schema, loose) as unknown as { oneOf: unknown[]; $defs: Record<string, unknown> }
    expect(Object.keys(grammar.$defs).toSorted()).toEqual(['#', 'leaf'])
    expect(grammar.oneOf).toHaveLength(1)
  })

  test('a schema without end is refused, not followed', () => {
    let schema: object = { type: 'string' }
    for (let depth = 0; depth < 100; depth++) schema = { type: 'array', items: schema }
    expect(() => toGrammarSchema(schema, loose)).toThrow('nested deeper')
  })

  test('anything at all is turned or refused by name, and nothing else is thrown', () => {
    const keyword = fc.constantFrom(
      'type',
      'properties',
      'items',
      'anyOf',
      'allOf',
      'enum',
      'const',
      '$ref',
      'additionalProperties',
      'minItems',
      'maxLength',
      '$defs',
    )
    fc.assert(
      fc.property(fc.dictionary(keyword, fc.jsonValue()), (schema) => {
        try {
          expect(toGrammarSchema(schema, loose)).toBeObject()
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError)
          expect((error as ApiError).status).toBe(400)
        }
      }),
    )
  })
})
