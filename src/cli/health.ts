import { CommandError, defineCommand, jsonOption } from './command.ts'
import { urlOption } from './server-option.ts'
import { table } from './table.ts'

interface ProviderHealthRow {
  readonly provider_id: string
  readonly provider_type: string
  readonly health?: { readonly status?: string; readonly message?: string }
}

export const health = defineCommand({
  name: 'health',
  summary: 'Show whether a running server and its providers are healthy',
  description:
    'Exits with 0 if the server is ready to accept requests and with 1 if it is not ready or unreachable, as container health checks expect. With `--json`, `status` is `ready`, `not_ready` or `unreachable` (then with `error`). A provider that is down does not make the server unready.',
  options: {
    url: urlOption,
    json: jsonOption,
  },
  examples: [
    ['Check the server on the default port', 'corral health'],
    ['Check another server', 'corral health --url https://corral.example.com'],
  ],
  async run({ options }, context) {
    const { getJson: ask, serverUrl } = await import('./running-server.ts')
    const { stdout } = context
    const url = serverUrl(options.url, context.env)
    let status: { ready: boolean; providers: readonly ProviderHealthRow[] }
    try {
      const ready = (await ask(url, '/readyz', context)).status === 200
      status = { ready, providers: providersOf((await ask(url, '/v1/providers', context)).json) }
    } catch (error) {
      if (!options.json || !(error instanceof CommandError)) throw error
      stdout.write(`${JSON.stringify({ url, status: 'unreachable', ready: false, error: error.message, providers: [] })}\n`)
      return 1
    }
    const { ready, providers } = status
    if (options.json) {
      const rows = providers.map((p) => ({ provider_id: p.provider_id, provider_type: p.provider_type, health: p.health }))
      stdout.write(`${JSON.stringify({ url, status: ready ? 'ready' : 'not_ready', ready, providers: rows })}\n`)
      return ready ? 0 : 1
    }
    stdout.write(`${url} is ${ready ? stdout.green('ready') : stdout.red('not ready')}\n`)
    if (providers.length > 0) {
      const rows = providers.map((p) => [p.provider_id, p.provider_type, p.health?.status ?? '', p.health?.message ?? ''])
      stdout.write(`\n${table(stdout, ['PROVIDER', 'TYPE', 'HEALTH', 'MESSAGE'], rows)}`)
    }
    return ready ? 0 : 1
  },
})

function providersOf(json: unknown): readonly ProviderHealthRow[] {
  const data = typeof json === 'object' && json !== null && 'data' in json ? json.data : []
  return Array.isArray(data) ? data : []
}
