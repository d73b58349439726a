import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { ApiError } from '../errors.ts'
import { outlineOf } from '../wire/json-outline.ts'
import { GovernedFields } from './governed-fields.ts'
import { runs } from '../testing/sizes.ts'

const governed = new GovernedFields(['messages', 'tools', 'fallbacks'])

function refused(json: string): string | undefined {
  const bytes = new TextEncoder().encode(json)
  const outline = outlineOf(bytes, { depth: 256, members: 100_000 })
  try {
    governed.check(JSON.parse(json), bytes, outline)
    return undefined
  } catch (error) {
    if (error instanceof ApiError) return String(error.param)
    throw error
  }
}

const name = fc.oneof(fc.constantFrom('a', 'b', '__proto__', '1', 'x:y', '"', '\\'), fc.string({ unit: 'binary', maxLength: 3 }))
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }).map((members) => new Members(members)),
  ),
}))

/** An object as it is written, which may say a name twice. */
class Members {
  readonly all: readonly (readonly [string, unknown])[]

  constructor(all: readonly (readonly [string, unknown])[]) {
    this.all = all
  }
}

function written(one: unknown): string {
  if (Array.isArray(one)) return `[${one.map(written).join(' ,')}]`
  if (one instanceof Members) return `{${one.all.map(([key, member]) => `${JSON.stringify(key)} : ${written(member)}`).join(',')}}`
  return JSON.stringify(one)
}

function repeats(one: unknown): boolean {
  if (Array.isArray(one)) return one.some(repeats)
  if (!(one instanceof Members)) return false
  return new Set(one.all.map(([key]) => key)).size < one.all.length || one.all.some(([, member]) => repeats(member))
}

test('a repeated member of an object within a governed field is rejected, and nothing else', () => {
  fc.assert(
    fc.property(value, value, fc.constantFrom('messages', 'tools', 'fallbacks'), (inside, elsewhere, field) => {
      const body = `{"metadata":${written(elsewhere)},"${field}":${written(inside)},"extra":${written(elsewhere)}}`
      expect(refused(body)).toBe(repeats(inside) ? field : undefined)
    }),
    { numRuns: runs(3000) },
  )
})

test('a governed field is found however its name is escaped, and only at the top level', () => {
  const twice = '[{"a":1,"a":2}]'
  expect(refused(`{"extra":${twice},"\\u006dessages":${twice}}`)).toBe('messages')
  expect(refused(`{"messages":"{","tools":${twice}}`)).toBe('tools')
  expect(refused(`{"extra":{"messages":${twice}},"messages":[],"":${twice}}`)).toBeUndefined()
  expect(refused(`[{"messages":${twice}}]`)).toBeUndefined()
})
