import { z } from 'zod'

export type Parser = (value: unknown) => z.ZodSafeParseResult<unknown>

/**
 * The same as a schema's `safeParse`, at the cost of the fields that a value has: zod itself runs each field that an object may have, and a request
 * has five out of forty. Whatever is not plainly right is left to zod, and so are all reports. Made once a schema, then kept; the first value that
 * comes pays for looking at the schema, so that a start does not.
 */
export function parserOf(schema: z.ZodType): Parser {
  let parse: Parser | undefined
  return (value) => (parse ??= build(schema))(value)
}

function build(schema: z.ZodType): Parser {
  if (schema instanceof z.ZodObject) return parserOfObject(schema) ?? whole(schema)
  if (schema instanceof z.ZodDiscriminatedUnion) return parserOfUnion(schema)
  return whole(schema)
}

function whole(schema: z.ZodType): Parser {
  return (value) => schema.safeParse(value)
}

/** Undefined for objects that refuse or drop what they do not know, or are checked as a whole. */
function parserOfObject(schema: z.ZodObject): Parser | undefined {
  const { catchall, checks = [] } = schema.def
  if (!(catchall instanceof z.ZodUnknown) || checks.length > 0) return undefined
  const fields: [string, z.ZodType][] = Object.entries(schema.shape)
  const known = new Map(fields.map(([key, field]) => [key, parserOf(field)]))
  const demanded = fields.filter(([, field]) => !mayBeAbsent(field)).map(([key]) => key)
  return (value) => {
    if (!isObject(value)) return schema.safeParse(value)
    for (const key of demanded) if (!Object.hasOwn(value, key)) return schema.safeParse(value)
    const data: Record<string, unknown> = {}
    for (const key in value) {
      if (key === '__proto__') return schema.safeParse(value)
      const parse = known.get(key)
      const result = parse?.(value[key])
      if (result?.success === false) return schema.safeParse(value)
      data[key] = result ? result.data : value[key]
    }
    return { success: true, data }
  }
}

/** Without it nothing is reported, and nothing stands in its place. */
function mayBeAbsent(field: z.ZodType): boolean {
  const { success, data } = field.safeParse(undefined)
  return success && data === undefined
}

/** Objects told apart by a text in one of their fields. */
function parserOfUnion(schema: z.ZodDiscriminatedUnion): Parser {
  const { discriminator, checks = [] } = schema.def
  if (checks.length > 0) return whole(schema)
  const parsers = new Map<unknown, Parser>()
  for (const option of schema.options) {
    const field = option instanceof z.ZodObject ? (option.shape as Record<string, unknown>)[discriminator] : undefined
    if (!(option instanceof z.ZodObject) || !(field instanceof z.ZodLiteral)) continue
    for (const name of field.values) parsers.set(name, parserOf(option))
  }
  return (value) => {
    const parse = isObject(value) ? parsers.get(value[discriminator]) : undefined
    const result = parse?.(value)
    return result?.success ? result : schema.safeParse(value)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
