import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js'
import { parse } from 'yaml'

/**
 * The published contracts, which are data beside this project and not part of it: the folder that `CORRAL_SHARED` names, or `../shared`.
 * Where it is absent a contract test says so and passes; under CI it fails.
 */
export function sharedFolder(): string | undefined {
  const folder = process.env['CORRAL_SHARED'] ?? join(import.meta.dir, '../../../shared')
  if (existsSync(join(folder, 'specs'))) return folder
  if (process.env['CI']) throw new Error(`The published specifications are not at ${folder}; set CORRAL_SHARED.`)
  if (!said) console.log(`Contract not checked: no specifications at ${folder} (set CORRAL_SHARED).`)
  said = true
  return undefined
}

let said = false

type Node = Record<string, unknown>

export interface OpenApiDocument extends Node {
  paths: Record<string, Record<string, Node>>
  components: { schemas: Record<string, Node> }
}

let openai: OpenApiDocument | undefined

/** OpenAI's document, or undefined where the specifications are absent. */
export function openaiSpec(): OpenApiDocument | undefined {
  const folder = sharedFolder()
  if (!folder) return undefined
  // Reading it takes a second or two.
  openai ??= parse(readFileSync(join(folder, 'specs/openai-spec-2.3.0.yml'), 'utf8'), { maxAliasCount: -1 }) as OpenApiDocument
  return openai
}

let ajv: Ajv2020 | undefined
const validators = new Map<string, ValidateFunction>()

/**
 * Holds a reply (or a chunk, or an error) to the published schema of that name, e.g. `CreateChatCompletionResponse`.
 * Returns what is wrong, each as a path and a reason; empty when all is well, or when the specifications are absent.
 */
export function validateReply(schemaName: string, json: unknown): string[] {
  const spec = openaiSpec()
  if (!spec) return []
  if (!spec.components.schemas[schemaName]) throw new Error(`OpenAI publishes no schema '${schemaName}'.`)
  let validate = validators.get(schemaName)
  if (!validate) {
    if (!ajv) {
      ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true, validateSchema: false })
      ajv.addSchema({ $id: 'openai', components: { schemas: spellNull(spec.components.schemas) } })
    }
    validate = ajv.compile({ $ref: `openai#/components/schemas/${schemaName}` })
    validators.set(schemaName, validate)
  }
  if (validate(json)) return []
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`)
}

/** The document says `nullable: true` in places, as OpenAPI 3.0 did; here null is a type. */
function spellNull(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(spellNull)
  if (typeof node !== 'object' || node === null) return node
  const { nullable, ...rest } = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, spellNull(value)]))
  return nullable === true ? { anyOf: [rest, { type: 'null' }] } : rest
}
