import { stringify } from 'yaml'
import { z } from 'zod'
import { redactedKeys } from './redact.ts'
import type { SpecifiedProvider } from './spec.ts'
import { variablesIn } from './substitute.ts'

interface ConfigTextOptions {
  /** `distro_name`. */
  readonly name: string
}

/**
 * Writes a configuration that runs as it is, with comments that say what may be changed. Keys are references to environment variables;
 * only what the spec itself gave is written out. The text ends with a line break.
 */
export function buildConfigText(providers: readonly SpecifiedProvider[], { name }: ConfigTextOptions): string {
  const apis = [...new Set(providers.map((one) => one.api))]
  const lines = [
    '# A Corral configuration. Serve it with `corral run FILE`, check it with `corral config validate FILE`.',
    '# ${env.NAME} is an environment variable, ${env.NAME:=default} for one with a default; a variable that is not set and',
    '# has no default stops the start. `corral config schema` prints a JSON Schema for editors.',
    'version: 2',
    `distro_name: ${scalar(name)}`,
    '',
    '# The APIs to serve. Without this key: all that have a provider.',
    'apis:',
    ...apis.map((api) => `  - ${scalar(api)}`),
    '',
    'providers:',
  ]
  for (const api of apis) {
    lines.push(`  ${api}:`)
    lines.push(
      ...providers
        .filter((one) => one.api === api)
        .flatMap(entryOf)
        .slice(1),
    )
  }
  lines.push(...ending)
  return `${lines.join('\n')}\n`
}

const ending = [
  '',
  'registered_resources:',
  '  # Aliases of models. The models of a provider are listed without an entry here, as provider_id/model.',
  '  # - model_id: fast',
  '  #   provider_id: groq',
  '  #   provider_model_id: llama-3.3-70b-versatile',
  '  models: []',
  '',
  'server:',
  '  port: 8321',
  '  # Without a host only this machine is served. For any other address say under `auth` who is asking (docs/authentication.md);',
  '  # `allow_unauthenticated: true` in its place serves everybody who can reach it.',
  '  # host: 0.0.0.0',
  '  # auth:',
  "  #   provider_config: { type: api_key }   # Corral's own keys: `corral keys create --name NAME`",
  '  # For browsers: true lets pages on this machine call, an object says who may.',
  '  # cors: true',
]

function entryOf({ id, definition, settings }: SpecifiedProvider): string[] {
  const config: Record<string, unknown> = { ...definition.starter?.config, ...typed(settings) }
  // Two names of one setting: the given one applies.
  if ('url' in settings && !('base_url' in settings)) delete config.base_url
  if ('api_key' in settings && !('api_token' in settings)) delete config.api_token
  const variables = [...new Set(Object.values(config).flatMap((value) => (typeof value === 'string' ? variablesIn(value) : [])))]
  const fields = credentialFields(definition.credentials)
  const lines = ['', `    # ${definition.description.replaceAll(/\s+/g, ' ')}`]
  if (variables.length > 0) lines.push(`    # Reads the environment: ${variables.join(', ')}.`)
  if (fields.length > 0) {
    const header = JSON.stringify(Object.fromEntries(fields.slice(0, 1).map((field) => [field, '...'])))
    lines.push(`    # A caller may bring a key of its own: x-llamastack-provider-data: ${header}`)
  }
  lines.push(`    - provider_id: ${scalar(id)}`, `      provider_type: ${scalar(definition.type)}`)
  if (Object.keys(config).length === 0) lines.push('      config: {}')
  else lines.push('      config:', ...indented(stringify(config, { lineWidth: 0 }), 8))
  return lines
}

/** A query knows text only: what reads as a number or a boolean is written as one. The loader takes it for text all the same where text is wanted. */
function typed(settings: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).map(([key, text]) => [key, valueOf(text)]))
}

function valueOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  const number = Number(text)
  return text !== '' && String(number) === text && Number.isFinite(number) ? number : text
}

/** The fields of the provider-data header that hold a key. */
function credentialFields(schema: z.ZodType | undefined): string[] {
  if (!schema) return []
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return Object.keys(properties).filter((field) => redactedKeys.test(field))
}

function scalar(text: string): string {
  return stringify(text, { lineWidth: 0 }).trimEnd()
}

function indented(text: string, by: number): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? line : ' '.repeat(by) + line))
}
