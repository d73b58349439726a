import { z } from 'zod'

interface SchemaNode {
  properties?: Record<string, SchemaNode>
  additionalProperties?: SchemaNode | boolean
  items?: SchemaNode
  anyOf?: SchemaNode[]
  oneOf?: SchemaNode[]
  allOf?: SchemaNode[]
  $ref?: string
  $defs?: Record<string, SchemaNode>
}

/** The keys that a schema knows at a path: what "did you mean" chooses from. */
export function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const root = describe(schema)
  let here = variants(root, root)
  for (const step of path) here = here.flatMap((part) => variants(stepInto(part, step), root))
  return [...new Set(here.flatMap((part) => Object.keys(part.properties ?? {})))]
}

/** A third party's schema may be impossible to describe: then the message has no hint. */
function describe(schema: z.ZodType): SchemaNode {
  try {
    return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode
  } catch {
    return {}
  }
}

function stepInto(schema: SchemaNode, step: PropertyKey): SchemaNode | undefined {
  if (typeof step === 'number') return schema.items
  const more = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
  return schema.properties?.[String(step)] ?? more
}

function variants(schema: SchemaNode | undefined, root: SchemaNode): SchemaNode[] {
  if (!schema) return []
  if (schema.$ref) return variants(schema.$ref === '#' ? undefined : root.$defs?.[schema.$ref.replace('#/$defs/', '')], root)
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  return [schema, ...inner.flatMap((part) => variants(part, root))]
}
