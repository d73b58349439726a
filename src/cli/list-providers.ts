import { defineCommand, jsonOption, usageError } from './command.ts'
import { table } from './table.ts'

export const listProviders = defineCommand({
  name: 'list providers',
  aliases: ['stack list-providers'],
  summary: 'the provider types, and the variables that turn them on',
  arguments: [{ name: 'API', description: 'only those of this API, e.g. inference' }],
  options: {
    all: { type: 'boolean', short: 'a', description: 'also the types that are known and not served yet' },
    json: jsonOption,
  },
  examples: [
    ['Which providers are there, and what do they read?', 'corral list providers'],
    ['Those of one API, for a script', 'corral list providers inference --json'],
  ],
  async run({ args: [api], options }, { stdout }) {
    const { plannedProviders, providerDefinitions } = await import('../providers/index.ts')
    const { nearest } = await import('../config/nearest.ts')
    const apis = new Set<string>([...providerDefinitions, ...plannedProviders].map((one) => one.api))
    if (api !== undefined && !apis.has(api)) {
      const near = nearest(api, apis)
      throw usageError(`There is no API '${api}'.`, near ? `Did you mean '${near}'?` : '`corral list apis` names all.')
    }
    const wanted = (one: { api: string }) => api === undefined || one.api === api
    const served = providerDefinitions.filter(wanted).map(({ api: of, type, description, starter }) => {
      return { api: of, type, served: true, enabled_by: starter?.enabledBy ?? [], description }
    })
    // Asked for one API that has none yet, an empty table would tell nothing.
    const later = options.all || served.length === 0 ? plannedProviders.filter(wanted) : []
    const rows = [
      ...served,
      ...later.map((one) => ({ api: one.api, type: one.type, served: false, enabled_by: [], description: one.planned })),
    ]
    if (options.json) {
      stdout.write(`${JSON.stringify(rows)}\n`)
      return
    }
    const cells = rows.map((row) => [row.type, row.api, row.served ? row.enabled_by.join(' or ') : 'not served yet', row.description])
    stdout.write(table(stdout, ['TYPE', 'API', 'ENABLED BY', 'WHAT IT IS'], cells))
  },
})
