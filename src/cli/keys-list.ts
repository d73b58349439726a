import type { ApiKey } from '../schemas/api-keys.ts'
import { defineCommand, jsonOption } from './command.ts'
import { configOption } from './keys-options.ts'
import { table } from './table.ts'

export const keysList = defineCommand({
  name: 'keys list',
  summary: 'List API keys, without their tokens',
  options: { config: configOption, json: jsonOption },
  examples: [
    ['All keys', 'corral keys list'],
    ['Keys that expire within a week', "corral keys list --json | jq '.[] | select(.expires_at != null and .expires_at < now + 604800)'"],
  ],
  async run({ options }, context) {
    const { withKeys } = await import('./keys-access.ts')
    const { stdout, stderr } = context
    await withKeys(options.config, context, async ({ keys, call, place }) => {
      const all: ApiKey[] = []
      for (let after: string | undefined; ;) {
        const { rows, hasMore } = await keys.list(call, { limit: 500, order: 'asc', after })
        all.push(...rows)
        after = rows.at(-1)?.id
        if (!hasMore) break
      }
      if (options.json) stdout.write(`${JSON.stringify(all)}\n`)
      else if (all.length === 0) stderr.write(`No API keys in ${place}.\n`)
      else stdout.write(table(stdout, ['ID', 'NAME', 'PRINCIPAL', 'TOKEN', 'STATUS', 'EXPIRES', 'MODELS', 'LIMITS'], all.map(cells)))
    })
  },
})

function cells(key: ApiKey): string[] {
  return [
    key.id,
    key.name,
    key.principal,
    key.redacted_value,
    key.status,
    key.expires_at === null ? 'never' : new Date(key.expires_at * 1000).toISOString().slice(0, 10),
    key.allowed_models?.join(' ') ?? 'all',
    key.limits.map(limitInWords).join(' '),
  ]
}

function limitInWords({ name: _name, period, ...amounts }: ApiKey['limits'][number]): string {
  return Object.entries(amounts)
    .map(([amount, number]) => (amount === 'concurrent_requests' ? `concurrent=${number}` : `${amount}=${number}/${period}`))
    .join(' ')
}
