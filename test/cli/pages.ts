import { commands } from '../../src/cli/commands.ts'
import { plannedProviders, providerDefinitions } from '../../src/providers/index.ts'
import { cliReference, providersReference } from './reference.ts'

/** The generated pages: path in the repository → text. */
export const pages: Readonly<Record<string, string>> = {
  'docs/reference/cli.md': cliReference(commands),
  'docs/reference/providers.md': providersReference(providerDefinitions, plannedProviders),
}

export const root = new URL('../../', import.meta.url)
