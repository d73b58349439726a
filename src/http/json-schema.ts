import { z } from 'zod'
import { oneOfMark, publishedForm, quietNull } from '../schemas/published.ts'

export type OpenApiSchema = { [key: string]: unknown }

/** Which side of a schema: what is taken in, or what comes out. */
type SchemaDirection = 'input' | 'output'

/**
 * Collects zod schemas as OpenAPI 3.1 components. A schema with an id (`.meta({ id })`) becomes a component of that name;
 * what is accepted beyond the published form does not show (see `schemas/published.ts`).
 */
export class SchemaCollector {
  readonly components: Record<string, OpenApiSchema> = {}

  /** The schema as it is in the document: a reference where it has an id. Throws when two schemas of one name differ. */
  add(schema: z.ZodType, direction: SchemaDirection): OpenApiSchema {
    const {
      $defs = {},
      $schema: _,
      ...root
    } = z.toJSONSchema(schema, {
      io: direction,
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => this.#override(zodSchema, jsonSchema as OpenApiSchema, direction),
    }) as OpenApiSchema & { $defs?: Record<string, OpenApiSchema> }
    for (const [name, definition] of Object.entries($defs)) this.#define(name, tidy(definition))
    const tidied = tidy(root)
    const id = z.globalRegistry.get(schema)?.id
    if (!id || typeof tidied['$ref'] === 'string') return tidied
    this.#define(id, tidied)
    return { $ref: `#/components/schemas/${id}` }
  }

  #override(zodSchema: z.core.$ZodType, json: OpenApiSchema, direction: SchemaDirection): void {
    const published = publishedForm(zodSchema)
    if (!published) {
      if (json['additionalProperties'] === false && isPlainObject(zodSchema)) delete json['additionalProperties']
      return
    }
    const meta = z.globalRegistry.get(zodSchema) ?? {}
    const form = this.add(published, direction)
    for (const key of Object.keys(json)) delete json[key]
    Object.assign(json, form, meta)
  }

  #define(name: string, definition: OpenApiSchema): void {
    const { id: _, ...body } = definition
    const present = this.components[name]
    if (present && JSON.stringify(present) !== JSON.stringify(body)) throw new Error(`Two different schemas are called '${name}'.`)
    this.components[name] = body
  }

  /** Leaves only what `document` reaches: schemas that a published form replaced are not part of it. */
  reachable(document: unknown): Record<string, OpenApiSchema> {
    const reached = new Set<string>()
    const visit = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return
      for (const [key, value] of Object.entries(node)) {
        const name = key === '$ref' && typeof value === 'string' ? value.match(/^#\/components\/schemas\/(.+)$/)?.[1] : undefined
        if (name === undefined) visit(value)
        else if (!reached.has(name)) {
          reached.add(name)
          visit(this.components[name])
        }
      }
    }
    visit(document)
    return Object.fromEntries(Object.entries(this.components).filter(([name]) => reached.has(name)))
  }
}

/** `z.object()` lets unknown keys pass and drops them; only `z.strictObject()` refuses them. */
function isPlainObject(schema: z.core.$ZodType): boolean {
  return !(schema instanceof z.ZodObject && schema.def.catchall instanceof z.ZodNever)
}

const keyMaps = new Set(['properties', 'patternProperties', '$defs'])
const values = new Set(['default', 'enum', 'const', 'example', 'examples', 'discriminator', 'required'])

/** From what zod prints to what OpenAPI documents print: the same meaning, in the published spelling. */
function tidy(node: OpenApiSchema): OpenApiSchema {
  const out: OpenApiSchema = {}
  for (const [key, value] of Object.entries(node)) {
    if (values.has(key)) out[key] = value
    else if (keyMaps.has(key))
      out[key] = Object.fromEntries(Object.entries(value as OpenApiSchema).map(([name, inner]) => [name, tidyAny(inner)]))
    else if (Array.isArray(value)) out[key] = value.map(tidyAny)
    else if (key === '$ref') out[key] = String(value).replace('#/$defs/', '#/components/schemas/')
    else out[key] = tidyAny(value)
  }
  return spellTypes(spellNull(spellMarks(out)))
}

function tidyAny(node: unknown): unknown {
  return typeof node === 'object' && node !== null && !Array.isArray(node) ? tidy(node as OpenApiSchema) : node
}

function spellMarks(schema: OpenApiSchema): OpenApiSchema {
  const { [oneOfMark]: isOneOf, propertyNames: _, ...rest } = schema
  if (isOneOf && rest['anyOf']) {
    const { anyOf, ...others } = rest
    return { oneOf: anyOf, ...others }
  }
  // That any further key is welcome is what an absent keyword says.
  if (JSON.stringify(rest['additionalProperties']) === '{}') {
    if (rest['properties']) delete rest['additionalProperties']
    else rest['additionalProperties'] = true
  }
  return rest
}

function spellNull(schema: OpenApiSchema): OpenApiSchema {
  const { [quietNull]: isQuiet, ...rest } = schema
  const { type, anyOf, ...others } = rest
  if (isQuiet && Array.isArray(type)) return { ...others, type: type.length === 2 ? type.find((name) => name !== 'null') : type }
  if (isQuiet && Array.isArray(anyOf)) {
    const [only, ...more] = anyOf.filter((option: OpenApiSchema) => option['type'] !== 'null')
    return more.length === 0 ? { ...(only as OpenApiSchema), ...others } : { ...others, anyOf: [only, ...more] }
  }
  if (Array.isArray(type) && !anyOf) return { ...others, anyOf: type.map((name) => ({ type: name })) }
  return rest
}

function spellTypes(schema: OpenApiSchema): OpenApiSchema {
  const { const: only, ...rest } = schema
  if (only !== undefined) return { ...rest, enum: [only] }
  if (rest['type'] === 'integer') {
    if (rest['minimum'] === Number.MIN_SAFE_INTEGER) delete rest['minimum']
    if (rest['maximum'] === Number.MAX_SAFE_INTEGER) delete rest['maximum']
  }
  return rest
}
