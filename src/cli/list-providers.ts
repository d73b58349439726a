import { defineCommand, jsonOption, usageError } from './command.ts'
import { table } from './table.ts'

export const listProviders = defineCommand({
  name: 'list providers',
  aliases: ['stack list-providers'],
  summary: 'List the provider types and the variables that enable them',
  arguments: [{ name: 'API', description: 'only providers of this API, e.g. inference' }],
  options: {
    all: { type: 'boolean', short: 'a', description: 'include types that are not supported yet' },
    json: jsonOption,
  },
  examples: [
    ['All supported providers', 'corral list providers'],
    ['The providers of one API, for scripts', 'corral list providers inference --json'],
  ],
  async run({ args: [api], options }, { stdout }) {
    const { plannedProviders, loadProviderDefinitions } = await import('../providers/index.ts')
    const definitions = await loadProviderDefinitions()
    const { nearest } = await import('../config/nearest.ts')
    const apis = new Set<string>([...definitions, ...plannedProviders].map((one) => one.api))
    if (api !== undefined && !apis.has(api)) {
      const near = nearest(api, apis)
      throw usageError(`Unknown API '${api}'.`, near ? `Did you mean '${near}'?` : '`corral list apis` lists all.')
    }
    const wanted = (one: { api: string }) => api === undefined || one.api === api
    const served = definitions.filter(wanted).map(({ api: of, type, description, starter }) => {
      return { api: of, type, served: true, enabled_by: starter?.enabledBy ?? [], description }
    })
    // For an API without supported providers, an empty table would be useless.
    const later = options.all || served.length === 0 ? plannedProviders.filter(wanted) : []
    const rows = [
      ...served,
      ...later.map((one) => ({ api: one.api, type: one.type, served: false, enabled_by: [], description: one.planned })),
    ]
    if (options.json) {
      stdout.write(`${JSON.stringify(rows)}\n`)
      return
    }
    const cells = rows.map((row) => [row.type, row.api, row.served ? row.enabled_by.join(' or ') : 'not supported yet', row.description])
    stdout.write(table(stdout, ['TYPE', 'API', 'ENABLED BY', 'DESCRIPTION'], cells))
  },
})
