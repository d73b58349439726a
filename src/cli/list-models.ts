import { CommandError, defineCommand, jsonOption } from './command.ts'
import { urlOption } from './server-option.ts'
import { table } from './table.ts'

interface ListedModel {
  readonly id: string
  readonly model_type?: string
  readonly provider_id?: string
}

export const listModels = defineCommand({
  name: 'list models',
  summary: 'List the models of a running server',
  description: 'Requests /v1/models from a running server. `corral models list` lists the embedded models on this machine.',
  options: { url: urlOption, json: jsonOption },
  examples: [
    ['All models', 'corral list models'],
    ['Only the ids', "corral list models --json | jq -r '.[].id'"],
  ],
  async run({ options }, context) {
    const { stdout } = context
    const { getJson: ask, serverUrl } = await import('./running-server.ts')
    const url = serverUrl(options.url, context.env)
    const { status, json } = await ask(url, '/v1/models', context)
    const data = typeof json === 'object' && json !== null && 'data' in json ? json.data : undefined
    if (status !== 200 || !Array.isArray(data)) {
      throw new CommandError(`${url}/v1/models returned status ${status} without a list of models.`, {
        remedy: 'Check whether another program listens there.',
      })
    }
    const models = data as ListedModel[]
    if (options.json) stdout.write(`${JSON.stringify(models)}\n`)
    else {
      const rows = models.map((model) => [model.id, model.model_type ?? '', model.provider_id ?? ''])
      stdout.write(table(stdout, ['MODEL', 'TYPE', 'PROVIDER'], rows))
    }
  },
})
