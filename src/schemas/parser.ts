import { z } from 'zod'

export type SchemaParser = (value: unknown) => z.ZodSafeParseResult<unknown>

/** Gives what a schema makes of a value, or `unsure`: then zod decides and reports. */
type Quick = (value: unknown) => unknown

const unsure = Symbol('unsure')

/**
 * The same as a schema's `safeParse`, at the cost of the fields that a value has: zod itself runs each field that an object may have, and a request
 * has five out of forty. Whatever is not plainly right is left to zod, and so are all reports. Made once a schema, then kept; the first value that
 * comes pays for looking at the schema, so that a start does not.
 */
export function parserOf(schema: z.ZodType): SchemaParser {
  const quick = quickOf(schema)
  return (value) => {
    const data = quick(value)
    return data === unsure ? schema.safeParse(value) : { success: true, data }
  }
}

/** Whether a value is plainly right; false where only zod can tell. */
export type Accepter = (value: unknown) => boolean

/** Looks at the schema when it is called. */
export function accepterOf(schema: z.ZodType): Accepter {
  const known = accepterFor(schema) ?? accepterOfPlain(schema)
  if (known) return known
  const quick = quickOf(schema)
  return (value) => quick(value) !== unsure
}

const accepters = new WeakMap<z.core.$ZodType, Accepter>()

/** Says that `schema`, whose checks only look, takes every value as it is for which `accepts` holds. */
export function acceptsPlainly(schema: z.ZodType, accepts: Accepter): void {
  accepters.set(schema, accepts)
}

/** `.meta()` makes copies, which inherit it; a copy with a further check does not. */
function accepterFor(schema: z.ZodType): Accepter | undefined {
  // oxlint-disable-next-line no-underscore-dangle -- zod's door for those who build on it
  for (let at: z.core.$ZodType | undefined = schema; at; at = at._zod.parent) {
    const accepts = accepters.get(at)
    // oxlint-disable-next-line no-underscore-dangle -- the same
    if (accepts) return at._zod.def.checks?.length === schema.def.checks?.length ? accepts : undefined
  }
  return undefined
}

/** Looks at the schema when the first value comes. */
function quickOf(schema: z.ZodType): Quick {
  let quick: Quick | undefined
  return (value) => (quick ??= build(schema))(value)
}

function build(schema: z.ZodType): Quick {
  const accepts = accepterFor(schema) ?? accepterOfPlain(schema)
  if (accepts) return (value) => (accepts(value) ? value : unsure)
  if (schema.def.checks?.length) return whole(schema)
  if (schema instanceof z.ZodObject) return quickOfObject(schema) ?? whole(schema)
  if (schema instanceof z.ZodDiscriminatedUnion) return quickOfTagged(schema)
  if (schema instanceof z.ZodUnion) return quickOfUnion(schema)
  if (schema instanceof z.ZodOptional) return orElse(schema, undefined)
  if (schema instanceof z.ZodNullable) return orElse(schema, null)
  return whole(schema)
}

function whole(schema: z.ZodType): Quick {
  return (value) => {
    const { success, data } = schema.safeParse(value)
    return success ? data : unsure
  }
}

/** For values that lists contain by the hundred thousand, and every message and tool. */
function accepterOfPlain(schema: z.ZodType): Accepter | undefined {
  if (schema.def.checks?.length) return undefined
  if (schema instanceof z.ZodNumberFormat && schema.format === 'safeint')
    return (value) => ((value as number) | 0) === value || Number.isSafeInteger(value)
  if (schema instanceof z.ZodString && !schema.def.coerce) return (value) => typeof value === 'string'
  if (schema instanceof z.ZodLiteral) return (value) => schema.values.has(value as string)
  if (schema instanceof z.ZodUnknown) return () => true
  if (schema instanceof z.ZodArray && schema.element instanceof z.ZodUnknown) return Array.isArray
  if (schema instanceof z.ZodRecord && isText(schema.keyType) && schema.valueType instanceof z.ZodUnknown) return isPlainObject
  return undefined
}

/** Undefined for objects that refuse or drop what they do not know. */
function quickOfObject(schema: z.ZodObject): Quick | undefined {
  if (!(schema.def.catchall instanceof z.ZodUnknown)) return undefined
  const fields: [string, z.ZodType][] = Object.entries(schema.shape)
  const known = new Map(fields.map(([key, field]) => [key, quickOf(field)]))
  const required = fields.filter(([, field]) => !mayBeAbsent(field)).map(([key]) => key)
  return (value) => {
    if (!isObject(value)) return unsure
    for (const key of required) if (!Object.hasOwn(value, key)) return unsure
    // Nearly always it is taken as it is; a copy of each message and tool would be garbage.
    let data = value
    for (const key in value) {
      if (key === '__proto__') return unsure
      const quick = known.get(key)
      const field = quick ? quick(value[key]) : value[key]
      if (field === unsure) return unsure
      if (field === value[key]) continue
      if (data === value) data = { ...value }
      data[key] = field
    }
    return data
  }
}

/** Without it nothing is reported, and no default is used. */
function mayBeAbsent(field: z.ZodType): boolean {
  const { success, data } = field.safeParse(undefined)
  return success && data === undefined
}

/** Objects discriminated by a text in one of their fields. */
function quickOfTagged(schema: z.ZodDiscriminatedUnion): Quick {
  const { discriminator } = schema.def
  const options = new Map<unknown, Quick>()
  for (const option of schema.options) {
    const field = option instanceof z.ZodObject ? (option.shape as Record<string, unknown>)[discriminator] : undefined
    if (!(option instanceof z.ZodObject) || !(field instanceof z.ZodLiteral)) continue
    for (const name of field.values) options.set(name, quickOf(option))
  }
  return (value) => (isObject(value) ? (options.get(value[discriminator])?.(value) ?? unsure) : unsure)
}

/** What the first option that fits makes of a value, as zod has it. */
function quickOfUnion(schema: z.ZodUnion): Quick {
  const options = schema.options.map((option) => quickOf(option as z.ZodType))
  return (value) => {
    for (const quick of options) {
      const data = quick(value)
      if (data !== unsure) return data
    }
    return unsure
  }
}

/** Of a schema around another one that takes one more value. */
function orElse(schema: z.ZodOptional | z.ZodNullable, more: undefined | null): Quick {
  const quick = quickOf(schema.unwrap() as z.ZodType)
  const besides = whole(schema)
  return (value) => (value === more ? besides(value) : quick(value))
}

function isText(schema: unknown): boolean {
  return schema instanceof z.ZodString && !schema.def.checks?.length
}

/** zod leaves out an own `__proto__`. */
function isPlainObject(value: unknown): boolean {
  return isObject(value) && !Object.hasOwn(value, '__proto__')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
