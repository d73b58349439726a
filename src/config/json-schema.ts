import { z } from 'zod'
import type { ProviderDefinition } from '../providers/provider.ts'
import type { KnownProviders } from './providers.ts'
import { fileSchema } from './schema.ts'

type Json = { [key: string]: unknown }

/**
 * A JSON Schema (2020-12) of the file, for editors: every key with its meaning, every provider's `config` by its type, and an environment reference
 * wherever a single value is allowed. Looser than the loader where necessary: what an unset variable disables is unknown here.
 */
export function configJsonSchema({ definitions, planned }: KnownProviders): Json {
  const schema = withReferences(toJson(fileSchema)) as Json
  const properties = schema.properties as Json
  const providers = properties.providers as Json
  const entry = ((providers.additionalProperties as Json).anyOf as Json[])[0]!.items as Json
  const types = { definitions, planned }
  const apis = [...new Set<string>([...definitions, ...planned].map((one) => one.api))]
  providers.properties = Object.fromEntries(
    apis.map((api) => [api, { type: ['array', 'null'], items: { $ref: `#/$defs/${api}_provider` } }]),
  )
  schema.$defs = {
    ...(schema.$defs as Json | undefined),
    ...Object.fromEntries(apis.map((api) => [`${api}_provider`, entryOf(api, entry, types)])),
  }
  return { ...schema, title: 'Corral configuration' }
}

function entryOf(api: string, entry: Json, { definitions, planned }: KnownProviders): Json {
  const served = definitions.filter((one) => one.api === api)
  const later = planned.filter((one) => one.api === api)
  const properties = entry.properties as Json
  const provider_type = {
    description: 'Which provider it is.',
    anyOf: [
      ...served.map((one) => ({ const: one.type, description: one.description })),
      ...later.map((one) => ({ const: one.type, description: `Not served yet: ${one.planned}` })),
      // With `module:` the type is a third party's own.
      { type: 'string' },
    ],
  }
  return {
    ...entry,
    properties: { ...properties, provider_type },
    ...(served.length > 0 && { allOf: served.map(conditionOf) }),
  }
}

/** The settings that go with a type. An editor sees an entry as it would be switched on; what a variable switches off it cannot know. */
function conditionOf({ type, config }: ProviderDefinition): Json {
  return {
    if: { properties: { provider_type: { const: type } }, required: ['provider_type'] },
    // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's own word
    then: { properties: { config: { anyOf: [withReferences(toJson(config)), { type: 'null' }] } } },
  }
}

function toJson(schema: z.ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Json
  return json
}

const reference = { type: 'string', pattern: '\\$\\{env\\.[A-Z0-9_]+', description: 'An environment reference.' }

const quoted = {
  number: { type: 'string', pattern: '^[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?$', description: 'A number in quotes.' },
  boolean: { type: 'string', pattern: '^([Tt]rue|[Ff]alse|yes|no|on|off)$', description: 'A boolean in quotes.' },
}

/** Wherever a number, a boolean, a fixed or a patterned text may stand, an environment reference may stand too, and the first two in quotes. */
function withReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withReferences)
  if (typeof schema !== 'object' || schema === null) return schema
  const json = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, keptKeys.has(key) ? value : withReferences(value)]))
  const types = [json.type].flat().map(String)
  const isNumber = types.includes('number') || types.includes('integer')
  const isScalar = isNumber || types.includes('boolean') || 'const' in json || 'enum' in json
  // Zod's own word for a pattern that it gives besides.
  if (json.format === 'includes') delete json.format
  const isPicky = types.includes('string') && ('pattern' in json || 'format' in json || 'maxLength' in json)
  if (!isScalar && !isPicky) return json
  const { description, default: fallback, ...rest } = json
  return {
    ...(description !== undefined && { description }),
    ...(fallback !== undefined && { default: fallback }),
    anyOf: [rest, reference, ...(isNumber ? [quoted.number] : []), ...(types.includes('boolean') ? [quoted.boolean] : [])],
  }
}

/** The values of these keywords are data, not schemas. */
const keptKeys = new Set(['default', 'const', 'enum', 'required', 'examples', 'type', 'pattern', 'description'])
