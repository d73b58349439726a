import { defineCommand, jsonOption } from './command.ts'
import { table } from './table.ts'

export const listApis = defineCommand({
  name: 'list apis',
  aliases: ['stack list-apis'],
  summary: 'List the APIs that a configuration may name',
  options: { json: jsonOption },
  examples: [['All APIs', 'corral list apis']],
  async run({ options }, { stdout }) {
    const { plannedProviders, loadProviderDefinitions } = await import('../providers/index.ts')
    const definitions = await loadProviderDefinitions()
    const apis = new Set<string>([...definitions, ...plannedProviders].map(({ api }) => api))
    const rows = [...apis].map((api) => ({ api, providers: definitions.filter((one) => one.api === api).length }))
    if (options.json) {
      stdout.write(`${JSON.stringify(rows.map(({ api, providers }) => ({ api, served: providers > 0, providers })))}\n`)
      return
    }
    const cells = rows.map(({ api, providers }) => [api, providers > 0 ? `${providers} providers` : 'not supported yet'])
    stdout.write(table(stdout, ['API', 'SUPPORTED BY'], cells))
  },
})
