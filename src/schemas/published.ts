import { z } from 'zod'
import { type Accepter, accepterOf, acceptsPlainly, type SchemaParser, parserOf } from './parser.ts'

/**
 * Ways to say in one schema what is published and what is accepted. A client's body is read loosely: unknown keys and
 * vendors' own values travel to the provider, and null counts as absent. The OpenAPI document shows what is published.
 * The marks below are read by `http/openapi.ts` alone.
 */

/** Marks a nullable whose null is accepted and not documented. */
export const quietNull = 'x-corral-quiet-null'
/** Marks a union that is documented as `oneOf`. */
export const oneOfMark = 'x-corral-one-of'

const publishedAs = new WeakMap<z.core.$ZodType, z.ZodType>()

/** The schema that replaces `schema` in the OpenAPI document, if any; `.meta()` and checks make copies, which inherit it. */
export function publishedForm(schema: z.core.$ZodType): z.ZodType | undefined {
  // oxlint-disable-next-line no-underscore-dangle -- zod's door for those who build on it
  for (let at: z.core.$ZodType | undefined = schema; at; at = at._zod.parent) {
    const form = publishedAs.get(at)
    if (form) return form
  }
  return undefined
}

/** Accepts what `accepted` accepts; documented as `published`. */
export function documentedAs<Accepted extends z.ZodType>(accepted: Accepted, published: z.ZodType): Accepted {
  publishedAs.set(accepted, published)
  return accepted
}

/**
 * The body of a request that Corral relays. Only what Corral reads of it is held to a type; everything else is the provider's to judge, which may know
 * other forms than the published ones. Documented as `published`.
 */
export function relayed<Read extends z.ZodRawShape>(published: z.ZodType, read: Read): z.ZodObject<Read, z.core.$loose> {
  return documentedAs(z.looseObject(read), published)
}

/** A field that may be absent or null; documented as one that may be absent. */
export function optional<Inner extends z.ZodType>(inner: Inner): z.ZodOptional<z.ZodNullable<Inner>> {
  return z.optional(z.nullable(inner).meta({ [quietNull]: true }))
}

/** A string documented with the published values; any other string travels too. */
export function openEnum(values: readonly string[], meta: Record<string, unknown> = {}): z.ZodString {
  return z.string().meta({ enum: [...values], ...meta })
}

/** A whole number of any size (`z.int()` refuses those over 2^53, which seeds reach). `meta` documents bounds that providers, not we, enforce. */
export function wholeNumber(meta: Record<string, unknown> = {}): z.ZodNumber {
  return z
    .number()
    .refine(Number.isInteger, { error: 'Invalid input: expected an integer', abort: true })
    .meta({ type: 'integer', ...meta })
}

/** Any of `options`, documented as `oneOf`. */
export function oneOf<const Options extends readonly [z.ZodType, ...z.ZodType[]]>(
  options: Options,
  meta: Record<string, unknown> = {},
): z.ZodUnion<Options> {
  return z.union(options).meta({ [oneOfMark]: true, ...meta })
}

/**
 * An array that is checked up to its first bad item. `z.array()` reports every one, so that ten megabytes of wrong items
 * would cost gigabytes of reports. `atLeast` items are demanded; bounds in `meta` are documented only.
 */
export function list<Item extends z.ZodType>(
  item: Item,
  { atLeast = 0, ...meta }: { atLeast?: number } & Record<string, unknown> = {},
): z.ZodType<z.output<Item>[]> {
  const bounds = atLeast > 0 ? { minItems: atLeast } : {}
  const parse = parserOf(item)
  const base = z.array(z.unknown()).check((payload) => {
    const items = payload.value
    if (items.length < atLeast) payload.issues.push({ code: 'too_small', origin: 'array', minimum: atLeast, inclusive: true, input: items })
    for (let at = 0; at < items.length; at++) if (!check(parse, items[at], payload, at)) return
  })
  let accepts: Accepter | undefined
  acceptsPlainly(base, (value) => {
    if (!Array.isArray(value) || value.length < atLeast) return false
    accepts ??= accepterOf(item)
    for (let at = 0; at < value.length; at++) if (!accepts(value[at])) return false
    return true
  })
  return documentedAs(base as unknown as z.ZodType<z.output<Item>[]>, z.array(item).meta({ ...bounds, ...meta }))
}

/** An object of like values under any keys, checked up to its first bad value. */
export function mapOf<Value extends z.ZodType>(
  value: Value,
  meta: Record<string, unknown> = {},
): z.ZodType<Record<string, z.output<Value>>> {
  const parse = parserOf(value)
  const base = z.looseObject({}).check((payload) => {
    for (const key in payload.value) if (!check(parse, payload.value[key], payload, key)) return
  })
  return documentedAs(base as unknown as z.ZodType<Record<string, z.output<Value>>>, z.record(z.string(), value).meta(meta))
}

/** Holds a part of a value to a schema of its own; false when it failed and was reported. */
function check(parse: SchemaParser, value: unknown, payload: z.core.ParsePayload, key?: PropertyKey): boolean {
  const result = parse(value)
  if (result.success) return true
  for (const issue of result.error.issues) {
    const path = key === undefined ? issue.path : [key, ...issue.path]
    payload.issues.push({ ...issue, path, input: value } as z.core.$ZodRawIssue)
  }
  return false
}

type Shape = { shape: Record<string, z.ZodType> }

interface OpenUnionOptions {
  /** The component's name in the OpenAPI document. */
  id?: string
  /** What is documented, where the published union is narrower than what is accepted. */
  published?: readonly [z.ZodType, ...z.ZodType[]]
  /** Documents OpenAPI's `discriminator`. */
  discriminator?: boolean
  /** The type of an object that does not say; absent: `type` is demanded. */
  fallback?: string
}

/**
 * Objects discriminated by `type`. A known type is held to its schema, and only to that one, so that the reported path is the helpful one;
 * an unknown type is passed on unchanged.
 */
export function openUnion<const Options extends readonly [z.ZodType & Shape, ...(z.ZodType & Shape)[]]>(
  options: Options,
  { id, published, discriminator, fallback }: OpenUnionOptions = {},
): z.ZodType<z.output<Options[number]>> {
  const parsers = new Map(options.map((option) => [literalOf(option.shape['type']), parserOf(option)]))
  const base = z.looseObject({ type: fallback === undefined ? z.string() : z.string().nullish() }).check((payload) => {
    const parse = parsers.get(payload.value.type ?? fallback ?? '')
    if (parse) check(parse, payload.value, payload)
  })
  const accepters = new Map(options.map((option) => [literalOf(option.shape['type']), accepterOf(option)]))
  acceptsPlainly(base, (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.hasOwn(value, '__proto__')) return false
    const type = (value as { type?: unknown }).type ?? fallback
    return typeof type === 'string' && (accepters.get(type)?.(value) ?? true)
  })
  const meta = { ...(id && { id }), ...(discriminator && { discriminator: { propertyName: 'type' } }) }
  return documentedAs(base as unknown as z.ZodType<z.output<Options[number]>>, oneOf(published ?? options, meta))
}

function literalOf(schema: z.ZodType | undefined): string {
  if (schema instanceof z.ZodLiteral) return String(schema.value)
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return literalOf(schema.unwrap() as z.ZodType)
  throw new TypeError('An option of an open union names its type with a literal.')
}
