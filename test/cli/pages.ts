import { readFileSync } from 'node:fs'
import { commands } from '../../src/cli/commands.ts'
import { plannedProviders, loadProviderDefinitions } from '../../src/providers/index.ts'
import { endpointTables } from './endpoint-tables.ts'
import { cliReference, providersReference } from './reference.ts'

const definitions = await loadProviderDefinitions()

const endpoints = await endpointTables(definitions)

export const root = new URL('../../', import.meta.url)

/** The generated pages: path in the repository → text. */
export const pages: Readonly<Record<string, string>> = {
  'docs/reference/cli.md': cliReference(commands),
  'docs/reference/providers.md': providersReference(definitions, plannedProviders, endpoints),
  'README.md': betweenMarkers(readFileSync(new URL('README.md', root), 'utf8'), 'providers', endpoints.summary),
}

/** Replaces the text between `<!-- NAME: … -->` and `<!-- end of NAME -->`. */
function betweenMarkers(text: string, name: string, content: string): string {
  const begin = new RegExp(`<!-- ${name}: .* -->\n`).exec(text)
  const end = text.indexOf(`<!-- end of ${name} -->`)
  if (!begin || end < begin.index) throw new Error(`No markers of '${name}' in the page.`)
  return `${text.slice(0, begin.index + begin[0].length)}${content}\n${text.slice(end)}`
}
