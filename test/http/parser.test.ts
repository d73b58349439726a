import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { z } from 'zod'
import { chatCompletionRequest, relayedChatRequest } from '../../src/schemas/chat.ts'
import { completionRequest, relayedCompletionRequest } from '../../src/schemas/completions.ts'
import { embeddingsRequest, relayedEmbeddingsRequest } from '../../src/schemas/embeddings.ts'
import { parserOf } from '../../src/schemas/parser.ts'
import { runs } from '../../src/testing/sizes.ts'

const samples = JSON.parse(`[
  null, true, 0, 1.5, -3, 1e18, "", "text", "none", "user", "system", "tool", "json_object", [], {}, ["a"], [1, 2], [[1], [2]], [null], {"a": 1},
  {"type": "text"}, {"type": "function", "function": {"name": "f"}}, {"type": "json_schema", "json_schema": {"name": "n"}},
  {"type": "image_url", "image_url": "x"}, {"include_usage": true}
]`) as readonly unknown[]

/** Values as they might stand in a body, right and wrong. */
const values = fc.oneof(fc.constantFrom(...samples), fc.jsonValue({ maxDepth: 3 }))

const parts = fc.oneof(
  values,
  fc.record(
    { type: fc.oneof(fc.constantFrom('text', 'image_url', 'input_audio', 'file', 'other'), values), text: values, image_url: values },
    { requiredKeys: [] },
  ),
)
const messages = fc.oneof(
  values,
  fc.array(
    fc.oneof(
      values,
      fc.record(
        {
          role: fc.oneof(fc.constantFrom('system', 'user', 'assistant', 'tool', 'developer', 'function', 'else'), values),
          content: fc.oneof(fc.string(), fc.array(parts, { maxLength: 3 }), values),
          name: values,
          tool_calls: values,
          tool_call_id: values,
          extra: values,
        },
        { requiredKeys: [] },
      ),
    ),
    { maxLength: 4 },
  ),
)

function bodiesOf(schema: z.ZodObject): fc.Arbitrary<unknown> {
  const fields = Object.keys(schema.shape).map((key): [string, fc.Arbitrary<unknown>] => [key, key === 'messages' ? messages : values])
  const some = fc.record(Object.fromEntries([...fields, ['model', fc.oneof(fc.constant('m'), values)], ['vendor_field', values]]), {
    requiredKeys: [],
  })
  // Few at a time: with all forty some are always wrong.
  const few = fc
    .tuple(some, fc.subarray([...fields.map(([key]) => key), 'vendor_field'], { maxLength: 3 }))
    .map(([body, keys]) => Object.fromEntries(Object.entries(body).filter(([key]) => keys.includes(key))))
  const right = { model: 'm', messages: [{ role: 'user', content: 'hi' }], prompt: 'p', input: 'i' }
  return fc.oneof(
    values,
    few,
    few.map((body) => ({ ...right, ...body })),
    messages.map((value) => ({ ...right, messages: value })),
    fc.string().map((key) => ({ ...right, [key]: 1 })),
  )
}

/** What a parse gave, comparable. */
function outcome(result: z.ZodSafeParseResult<unknown>): unknown {
  return result.success ? { data: result.data } : { issues: result.error.issues }
}

describe('a parser that looks at what is there', () => {
  const published = { chatCompletionRequest, completionRequest, embeddingsRequest }
  const schemas = { ...published, relayedChatRequest, relayedCompletionRequest, relayedEmbeddingsRequest }
  for (const [name, schema] of Object.entries(schemas)) {
    test(`says of ${name} what zod says`, () => {
      const parse = parserOf(schema)
      const seen = { right: 0, wrong: 0 }
      fc.assert(
        fc.property(bodiesOf(schema as unknown as z.ZodObject), (body) => {
          const expected = schema.safeParse(body)
          seen[expected.success ? 'right' : 'wrong'] += 1
          expect(outcome(parse(body))).toEqual(outcome(expected))
        }),
        { numRuns: runs(1500) },
      )
      expect(seen.right).toBeGreaterThan(runs(1500) / 30)
      expect(seen.wrong).toBeGreaterThan(runs(1500) / 30)
    })
  }

  test('keeps to zod where an object has defaults, refuses or drops keys, or is checked as a whole', () => {
    const defaulted = z.looseObject({ a: z.string().default('x'), b: z.number().optional() })
    const strict = z.strictObject({ a: z.string() })
    const dropping = z.object({ a: z.string() })
    const checked = z.looseObject({ a: z.number() }).refine(({ a }) => a > 0)
    const turned = z.looseObject({ a: z.string().transform((text) => text.length) })
    for (const schema of [defaulted, strict, dropping, checked, turned]) {
      const parse = parserOf(schema)
      for (const value of [
        {},
        { a: 'y' },
        { a: 'y', c: 1 },
        { a: -1 },
        { a: 1, b: 'no' },
        [],
        null,
        JSON.parse('{"a":"y","__proto__":{"b":2}}'),
      ]) {
        expect(outcome(parse(value))).toEqual(outcome(schema.safeParse(value)))
      }
    }
  })

  test('leaves the prototype of what it gives alone', () => {
    const result = parserOf(z.looseObject({ a: z.string() }))(JSON.parse('{"a":"y","__proto__":{"b":2}}'))
    expect(result.success && Object.getPrototypeOf(result.data)).toBe(Object.prototype)
    expect(result.data).not.toHaveProperty('b')
  })
})
