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
  summary: 'the models that a running server offers',
  description:
    'Asks a running server for /v1/models. The embedded models on this machine, served or not, are shown by `corral models list`.',
  options: { url: urlOption, json: jsonOption },
  examples: [
    ['What can be asked for?', 'corral list models'],
    ['The ids alone', "corral list models --json | jq -r '.[].id'"],
  ],
  async run({ options }, context) {
    const { stdout } = context
    const { getJson: ask, serverUrl } = await import('./running-server.ts')
    const url = serverUrl(options.url, context.env)
    const { status, json } = await ask(url, '/v1/models', context)
    const data = typeof json === 'object' && json !== null && 'data' in json ? json.data : undefined
    if (status !== 200 || !Array.isArray(data)) {
      throw new CommandError(`${url}/v1/models answered ${status} and no list of models.`, {
        remedy: 'Is another program listening there?',
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
