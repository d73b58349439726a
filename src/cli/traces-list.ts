import { defineCommand } from './command.ts'
import { table } from './table.ts'
import { readTime } from './times.ts'
import { openStore, traceJson, traceStoreOf, tracesConfigOption } from './traces-store.ts'
import { traceCells, traceHead } from './traces-text.ts'

const defaultLimit = 30

export const tracesList = defineCommand({
  name: 'traces',
  aliases: ['traces list'],
  summary: 'List recent requests',
  description:
    'Reads the trace store on this machine, which has sampled requests and all that failed or were slow. Times are UTC. `corral traces show` has the details of a request.',
  options: {
    failed: { type: 'boolean', description: 'only requests that were denied, aborted or failed' },
    slow: { type: 'boolean', description: 'only requests that took telemetry.store.slow_ms or longer' },
    key: { type: 'string', value: 'KEY', description: 'only requests with this API key' },
    model: { type: 'string', value: 'MODEL', description: 'only requests for this model' },
    provider: { type: 'string', value: 'PROVIDER', description: 'only requests to this provider' },
    principal: { type: 'string', value: 'NAME', description: 'only requests of this principal' },
    request: { type: 'string', value: 'ID', description: 'only the request with this id' },
    since: { type: 'string', value: '1h|DATE', description: 'only requests since this time' },
    limit: { type: 'integer', value: 'N', short: 'n', description: `maximum number of requests; default ${defaultLimit}` },
    config: tracesConfigOption,
    json: { type: 'boolean', description: 'print one JSON object per line' },
  },
  examples: [
    ['Failed requests of the last hour', 'corral traces --failed --since 1h'],
    ['Slow requests', 'corral traces --slow'],
    ['For scripts', 'corral traces --json -n 1000 | jq -r .trace_id'],
  ],
  async run({ options }, context) {
    const { failed, slow, key, model, provider, principal, request: requestId, limit = defaultLimit, json } = options
    const since = readTime('since', options.since)
    const config = await traceStoreOf(options.config, context)
    const keyId = key === undefined ? undefined : (await import('./keys-access.ts')).keyIdOf(key)
    using store = await openStore(config)
    const traces =
      store?.list({
        ...(failed && { failed: true }),
        ...(slow && { slowerThan: config.slowAfter }),
        keyId,
        model,
        provider,
        principal,
        requestId,
        since,
        limit,
      }) ?? []
    const { stdout, stderr } = context
    if (json) for (const trace of traces) stdout.write(`${JSON.stringify(traceJson(trace))}\n`)
    else if (traces.length > 0) stdout.write(table(stdout, traceHead, traces.map(traceCells)))
    else if (store) stderr.write('No matching traces.\n')
    else stderr.write(`No traces in ${config.path} yet.\n`)
  },
})
