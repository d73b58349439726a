import { z } from 'zod'
import type { Command } from '../../src/cli/command.ts'
import { optionRows, usageLine } from '../../src/cli/help.ts'
import type { EndpointTables } from './endpoint-tables.ts'
import type { PlannedProvider, ProviderDefinition } from '../../src/providers/provider.ts'

const generated = 'This page is generated from the definitions in the code: `npm run docs` writes it.'

/** docs/reference/cli.md: what the help says, on one page. */
export function cliReference(commands: readonly Command[]): string {
  const index = commands.map(({ name, summary }) => `| [\`corral ${name}\`](#corral-${name.replaceAll(' ', '-')}) | ${summary} |`)
  return page([
    '# The command line',
    generated,
    ['| command | what it does |', '|---|---|', ...index].join('\n'),
    '`corral help COMMAND` shows the same on the terminal. Exit codes: 0 success, 1 failure, 2 usage error, 130 or 143 interrupted. ' +
      'Results go to stdout, everything else to stderr. Colour is for terminals; `NO_COLOR` and `FORCE_COLOR` are heeded.',
    ...commands.flatMap(commandSections),
  ])
}

function commandSections(command: Command): string[] {
  const { shown, ignored } = optionRows(command)
  const rows = [...command.arguments.map(({ name, description }): [string, string] => [name, description]), ...shown]
  const cells = rows.map(([name, text]) => `| \`${cell(name)}\` | ${cell(text)} |`)
  return [
    `## corral ${command.name}`,
    `${sentence(command.summary)}${command.aliases.length > 0 ? ` Also spelt ${list(command.aliases.map((alias) => `corral ${alias}`))}.` : ''}`,
    ...(command.description ? [command.description] : []),
    `    ${usageLine(command)}`,
    ['| word | meaning |', '|---|---|', ...cells].join('\n'),
    ...(ignored.length > 0 ? [`Accepted for compatibility, ignored: ${list(ignored)}.`] : []),
    ['```sh', ...command.examples.flatMap(([what, line]) => [`# ${what}`, line]), '```'].join('\n'),
  ]
}

interface Field {
  readonly key: string
  readonly type: string
  readonly fallback: string
  readonly description: string
}

/** docs/reference/providers.md: every provider type with its settings. Settings that most have come once, at the top. */
export function providersReference(
  definitions: readonly ProviderDefinition[],
  planned: readonly PlannedProvider[],
  endpoints: EndpointTables,
): string {
  const fields = new Map(definitions.map((definition) => [definition, fieldsOf(definition.config)]))
  const counts = new Map<string, number>()
  for (const field of [...fields.values()].flat()) counts.set(row(field), (counts.get(row(field)) ?? 0) + 1)
  const common = new Set([...counts].filter(([, count]) => count > definitions.length * 0.7).map(([text]) => text))
  return page([
    '# Providers',
    generated,
    'Providers are configured under `providers.<api>` with a `provider_id` of your choice, their `provider_type` and `config`. ' +
      'The starter distribution enables a provider when one of the variables named here is set. ' +
      'Callers may send their own credentials in the `X-LlamaStack-Provider-Data` (or `X-OGX-Provider-Data`) header. The settings shown are those that `corral build` writes.',
    endpoints.table,
    '## Common settings',
    fieldTable([...common]),
    ...definitions.flatMap((definition) => providerSections(definition, fields.get(definition) ?? [], common)),
    '## Known, not supported yet',
    'Configurations that name these load, with a warning each.',
    ['| type | API | |', '|---|---|---|', ...planned.map((one) => `| \`${one.type}\` | ${one.api} | ${cell(one.planned)} |`)].join('\n'),
  ])
}

function providerSections(definition: ProviderDefinition, fields: readonly Field[], common: ReadonlySet<string>): string[] {
  const { type, api, description, starter, credentials } = definition
  const header = credentials ? fieldsOf(credentials).map(({ key }) => key) : []
  const facts = [
    `API \`${api}\`.`,
    ...(starter && starter.enabledBy.length > 0 ? [`Enabled by ${list(starter.enabledBy, 'or')}.`] : []),
    ...(starter?.probe ? [`Probed at \`${starter.probe}\`.`] : []),
    ...(header.length > 0 ? [`Callers may send ${list(header)}.`] : []),
  ]
  const defaults = Object.entries(starter?.config ?? {}).map(
    ([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const own = fields.map(row).filter((text) => !common.has(text))
  return [
    `## ${type}`,
    `${ended(description)} ${facts.join(' ')}`,
    ...(defaults.length > 0 ? [['```yaml', ...defaults, '```'].join('\n')] : []),
    ...(own.length > 0 ? [fieldTable(own)] : []),
  ]
}

function fieldsOf(schema: z.ZodType): Field[] {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as Json
  return fieldsWithin(json, '')
}

/** An object's keys stand with their paths in the place of the object: `network.tls.verify`. */
function fieldsWithin({ properties = {} }: Json, path: string): Field[] {
  return Object.entries(properties).flatMap(([name, property]) => {
    const key = `${path}${name}`
    const inner = [property, ...(property.anyOf ?? [])].find((one) => one.properties)
    if (inner) return fieldsWithin(inner, `${key}.`)
    const fallback = property.default === undefined ? '' : JSON.stringify(property.default)
    return [{ key, type: typeOf(property), fallback, description: property.description ?? '' }]
  })
}

interface Json {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Json>>
  readonly anyOf?: readonly Json[]
  readonly items?: Json
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly description?: string
}

function typeOf(json: Json): string {
  if (json.enum) return json.enum.map((value) => JSON.stringify(value)).join(' or ')
  if (json.const !== undefined) return JSON.stringify(json.const)
  if (json.anyOf)
    return [...new Set(json.anyOf.filter(({ type }) => type !== 'null').flatMap((one) => typeOf(one).split(' or ')))].join(' or ')
  if (json.type === 'array') return `list of ${json.items ? typeOf(json.items) : 'anything'}`
  return [json.type ?? 'anything'].flat().join(' or ')
}

function row({ key, type, fallback, description }: Field): string {
  return `| \`${key}\` | ${cell(type)} | ${fallback === '' ? '' : `\`${cell(fallback)}\``} | ${cell(description)} |`
}

function fieldTable(rows: readonly string[]): string {
  return ['| key of `config` | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function page(blocks: readonly string[]): string {
  return `${blocks.join('\n\n')}\n`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function list(items: readonly string[], last = 'and'): string {
  const quoted = items.map((item) => `\`${item}\``)
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} ${last} ${quoted.at(-1)}`
}

function sentence(text: string): string {
  return ended(text.charAt(0).toUpperCase() + text.slice(1))
}

function ended(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}
