import type { GbnfJsonSchema } from 'node-llama-cpp'
import { invalidRequest } from '../../../child-contract.ts'

/** JSON Schema keywords that grammars cannot enforce. */
const unenforced = [
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'uniqueItems',
  'contains',
  'patternProperties',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
  'dependentRequired',
  'dependentSchemas',
  'unevaluatedProperties',
] as const

const enforcedFormats = ['date-time', 'time', 'date']
const maxDepth = 64
const scalarTypes = ['string', 'number', 'integer', 'boolean', 'null']

// The library's own type follows literal schemas; ours come from callers.
type Grammar = GbnfJsonSchema
type Schema = Readonly<Record<string, unknown>>

const anything: Grammar = {
  oneOf: [{ type: ['string', 'number', 'boolean', 'null'] }, { type: 'object', additionalProperties: true }, { type: 'array' }],
}

/** Any JSON object. */
export const anyObject: Grammar = { type: 'object', additionalProperties: true }

interface SchemaOptions {
  /** The request's field that holds the schema; errors name it. */
  param: string
  /** True: a keyword that cannot be enforced is an error; else it is left out of account. */
  strict: boolean
}

/**
 * Turns a caller's JSON Schema into what llama.cpp can be held to by a grammar. Every property of an object is then written, optional ones too,
 * and nothing else unless `additionalProperties` allows it. Throws ApiError 400 naming what cannot be expressed.
 */
export function toGrammarSchema(schema: unknown, options: SchemaOptions): Grammar {
  const reader = new SchemaReader(options)
  const root = reader.read(schema, options.param, 0)
  const definitions = isSchema(schema) ? { ...asMap(schema['definitions']), ...asMap(schema['$defs']) } : {}
  const $defs = Object.fromEntries(
    Object.entries(definitions).map(([name, value]) => [name, reader.read(value, `${options.param}.$defs.${name}`, 1)]),
  )
  if (reader.refersToRoot) $defs[rootName] = root
  for (const name of reader.references) {
    if (!Object.hasOwn($defs, name))
      throw invalidRequest(`The schema refers to '#/$defs/${name}', which it does not define.`, { param: options.param })
  }
  if (Object.keys($defs).length === 0) return root
  return { oneOf: [root], $defs } as Grammar
}

const rootName = '#'

class SchemaReader {
  readonly references = new Set<string>()
  refersToRoot = false
  readonly #options: SchemaOptions

  constructor(options: SchemaOptions) {
    this.#options = options
  }

  read(schema: unknown, param: string, depth: number): Grammar {
    if (depth > maxDepth) throw invalidRequest(`The schema is nested deeper than ${maxDepth} levels.`, { param: this.#options.param })
    if (schema === true || schema === undefined) return anything
    if (!isSchema(schema)) throw invalidRequest('A schema must be an object or true.', { param })
    this.#checkKeywords(schema, param)
    if (typeof schema['$ref'] === 'string') return this.#reference(schema['$ref'], param)
    const alternatives = schema['anyOf'] ?? schema['oneOf']
    if (alternatives !== undefined) return this.#oneOf(alternatives, param, depth)
    if (Array.isArray(schema['allOf'])) {
      if (schema['allOf'].length !== 1)
        throw invalidRequest('allOf with several schemas cannot be expressed as a grammar.', { param: `${param}.allOf` })
      return this.read(schema['allOf'][0], `${param}.allOf[0]`, depth + 1)
    }
    if ('const' in schema) return { const: this.#literal(schema['const'], `${param}.const`) }
    if (Array.isArray(schema['enum'])) {
      if (schema['enum'].length === 0) throw invalidRequest('enum must not be empty.', { param: `${param}.enum` })
      return { enum: schema['enum'].map((value) => this.#literal(value, `${param}.enum`)) }
    }
    return this.#typed(schema, param, depth)
  }

  #typed(schema: Schema, param: string, depth: number): Grammar {
    const type = schema['type'] ?? (schema['properties'] ? 'object' : schema['items'] ? 'array' : undefined)
    if (type === undefined) return anything
    if (Array.isArray(type)) {
      return type.length === 1
        ? this.#typed({ ...schema, type: type[0] }, param, depth)
        : this.#oneOf(
            type.map((one: unknown) => ({ ...schema, type: one })),
            param,
            depth,
          )
    }
    if (type === 'object') return this.#object(schema, param, depth)
    if (type === 'array') return this.#array(schema, param, depth)
    if (typeof type !== 'string' || !scalarTypes.includes(type))
      throw invalidRequest(`Unknown type ${JSON.stringify(type)}.`, { param: `${param}.type` })
    if (type !== 'string') return { type: type as 'number' }
    if (typeof schema['format'] === 'string' && enforcedFormats.includes(schema['format'])) {
      return { type, format: schema['format'] as 'date' }
    }
    return { type, ...this.#counts(schema, param, ['minLength', 'maxLength']) }
  }

  #object(schema: Schema, param: string, depth: number): Grammar {
    const given = asMap(schema['properties'])
    const properties = Object.fromEntries(
      Object.entries(given).map(([key, value]) => [key, this.read(value, `${param}.properties.${key}`, depth + 1)]),
    )
    const more = schema['additionalProperties']
    const additionalProperties =
      isSchema(more) && Object.keys(more).length > 0
        ? this.read(more, `${param}.additionalProperties`, depth + 1)
        : more === true || isSchema(more) || (more === undefined && Object.keys(properties).length === 0)
    return { type: 'object', properties, additionalProperties, ...this.#counts(schema, param, ['minProperties', 'maxProperties']) }
  }

  #array(schema: Schema, param: string, depth: number): Grammar {
    const { items, prefixItems } = schema
    return {
      type: 'array',
      ...(items !== undefined && items !== false && { items: this.read(items, `${param}.items`, depth + 1) }),
      ...(Array.isArray(prefixItems) && {
        prefixItems: prefixItems.map((item, at) => this.read(item, `${param}.prefixItems[${at}]`, depth + 1)),
      }),
      ...this.#counts(schema, param, ['minItems', 'maxItems']),
    }
  }

  #oneOf(alternatives: unknown, param: string, depth: number): Grammar {
    if (!Array.isArray(alternatives) || alternatives.length === 0)
      throw invalidRequest('anyOf and oneOf must be lists of schemas.', { param })
    return { oneOf: alternatives.map((one, at) => this.read(one, `${param}[${at}]`, depth + 1)) }
  }

  #reference(target: string, param: string): Grammar {
    if (target === '#') {
      this.refersToRoot = true
      return { $ref: `#/$defs/${rootName}` } as unknown as Grammar
    }
    const name = /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec(target)?.[1]
    if (name === undefined)
      throw invalidRequest(`Only references to the schema's own $defs are supported, not '${target}'.`, { param: `${param}.$ref` })
    this.references.add(name)
    return { $ref: `#/$defs/${name}` } as unknown as Grammar
  }

  #literal(value: unknown, param: string): string | number | boolean | null {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
    throw invalidRequest('Only strings, numbers, booleans and null can be constants.', { param })
  }

  #counts<Key extends string>(schema: Schema, param: string, keys: readonly Key[]): Partial<Record<Key, number>> {
    const counts: Partial<Record<Key, number>> = {}
    for (const key of keys) {
      const count = schema[key]
      if (count === undefined) continue
      if (typeof count !== 'number' || !Number.isInteger(count) || count < 0) {
        throw invalidRequest(`${key} must be an integer.`, { param: `${param}.${key}` })
      }
      counts[key] = count
    }
    return counts
  }

  #checkKeywords(schema: Schema, param: string): void {
    if (!this.#options.strict) return
    const keyword = unenforced.find((key) => key in schema)
    if (keyword !== undefined) {
      throw invalidRequest(`The embedded model cannot enforce '${keyword}'. Leave it out, or set strict to false.`, {
        param: `${param}.${keyword}`,
      })
    }
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asMap(value: unknown): Schema {
  return isSchema(value) ? value : {}
}
