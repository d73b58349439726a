import { createEgress } from '../../src/egress/egress.ts'
import type { ProviderDefinition } from '../../src/providers/provider.ts'
import { silentLog } from '../../src/telemetry/logger.ts'

export interface EndpointTables {
  /** A row for each provider, a column for each operation. */
  readonly table: string
  /** A row for each set of operations, with the providers that have it. */
  readonly summary: string
}

/** The operations, with their paths, as the tables show them. */
const columns = [
  { operation: 'chat', title: 'Chat completions', path: '/v1/chat/completions' },
  { operation: 'completions', title: 'Completions', path: '/v1/completions' },
  { operation: 'embeddings', title: 'Embeddings', path: '/v1/embeddings' },
  { operation: 'rerank', title: 'Rerank', path: '/v1/rerank' },
] as const

/** Which provider serves which endpoint, found by creating each of them: nothing is written by hand. */
export async function endpointTables(definitions: readonly ProviderDefinition[]): Promise<EndpointTables> {
  const rows = await Promise.all(definitions.map(async (definition) => ({ ...definition, operations: await operationsOf(definition) })))
  const unknown = rows.flatMap(({ operations }) => operations).filter((name) => !columns.some(({ operation }) => operation === name))
  if (unknown.length > 0) throw new Error(`No column for the operations ${[...new Set(unknown)].join(', ')}.`)
  const cells = rows.map(({ type, operations }) => [
    `[\`${type}\`](#${anchor(type)})`,
    ...columns.map(({ operation }) => (operations.includes(operation) ? '✓' : '')),
  ])
  const groups = Map.groupBy(rows, ({ operations }) =>
    columns
      .filter(({ operation }) => operations.includes(operation))
      .map(({ title }) => title)
      .join(', '),
  )
  const summary = [...groups]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([titles, members]) => [titles, members.map(({ type }) => `\`${type.replace('remote::', '')}\``).join(' ')])
  return {
    table: table(['provider', ...columns.map(({ title, path }) => `${title}<br>\`${path}\``)], cells),
    summary: table(['endpoints', `providers (\`remote::…\`), ${rows.length} in all`], summary),
  }
}

async function operationsOf(definition: ProviderDefinition): Promise<string[]> {
  if (definition.api !== 'inference') return []
  const { type, config } = definition
  const settings = [{ base_url: 'https://provider.example/v1', ...required[type] }, { ...required[type] }]
  const parsed = settings.map((one) => config.safeParse(one)).find(({ success }) => success)
  if (!parsed?.success) throw new Error(`Settings are required to create ${type}.`)
  const provider = definition.create(parsed.data, { id: 'probe', egress: createEgress(), log: silentLog })
  const operations = Object.entries(provider.invoke).flatMap(([name, invoke]) => (invoke ? [name] : []))
  await provider[Symbol.asyncDispose]?.()
  return operations
}

/** Settings without which a provider cannot be created, beside its URL. */
const required: Readonly<Record<string, object>> = {
  'remote::hf::endpoint': { endpoint_name: 'someone/model' },
}

function anchor(type: string): string {
  return type.replaceAll(':', '')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
