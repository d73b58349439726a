import { defineCommand } from './command.ts'
import { table } from './table.ts'
import { readTime } from './times.ts'
import { openStore, traceJson, traceStoreOf, tracesConfigOption } from './traces-store.ts'
import { traceCells, traceHead } from './traces-text.ts'

const defaultLimit = 30

export const tracesList = defineCommand({
  name: 'traces',
  aliases: ['traces list'],
  summary: 'the latest requests that were kept, with what became of them',
  description:
    'Reads the trace store of this machine, which holds what is sampled and whatever failed or was slow. Times are UTC. What a request was in detail, `corral traces show` says.',
  options: {
    failed: { type: 'boolean', description: 'only what failed: refused, broken off or answered with an error' },
    slow: { type: 'boolean', description: 'only what took telemetry.store.slow_ms or longer' },
    key: { type: 'string', value: 'KEY', description: 'only what was done with this API key' },
    model: { type: 'string', value: 'MODEL', description: 'only what asked for this model' },
    provider: { type: 'string', value: 'PROVIDER', description: 'only what this provider answered' },
    principal: { type: 'string', value: 'NAME', description: 'only what this user did' },
    request: { type: 'string', value: 'ID', description: 'only the request with this id' },
    since: { type: 'string', value: '1h|DATE', description: 'only from then on' },
    limit: { type: 'integer', value: 'N', short: 'n', description: `so many at most, the latest; default ${defaultLimit}` },
    config: tracesConfigOption,
    json: { type: 'boolean', description: 'print one JSON object a line' },
  },
  examples: [
    ['What failed within the last hour?', 'corral traces --failed --since 1h'],
    ['Who waits for what?', 'corral traces --slow'],
    ['For other programs', 'corral traces --json -n 1000 | jq -r .trace_id'],
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
    else if (store) stderr.write('There are no such traces.\n')
    else stderr.write(`There are no traces in ${config.path} yet: no request has been kept.\n`)
  },
})
