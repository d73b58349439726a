import type { Database } from '../storage/database.ts'

export const usageGroups = ['key', 'user', 'team', 'model', 'provider'] as const
export type UsageGroup = (typeof usageGroups)[number]

interface UsageQuery {
  readonly by: UsageGroup
  /** Unix milliseconds, `until` exclusive. Absent: from the first entry, to the last. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** The use of one key, user, team, model or provider. */
export interface UsageSum {
  /** Null: entries without one, e.g. without a key. Several teams of one user form one group, so that sums add up. */
  readonly of: string | null
  readonly responses: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Parts of the two before. */
  readonly cachedInputTokens: number
  readonly reasoningTokens: number
  /** Billionths of a US dollar, as far as prices are known. */
  readonly costNanoDollars: number
  /** Responses whose tokens Corral estimated. */
  readonly estimated: number
  /** Responses without a known price. */
  readonly unpriced: number
}

const columns = { key: 'key_id', user: 'principal', team: 'attributes', model: 'model', provider: 'provider' } as const

/** Sums of the ledger, the highest cost first. Every entry is in exactly one. Throws ApiError 503 when the database is unavailable. */
export async function usageOf(database: Pick<Database, 'read'>, { by, since, until }: UsageQuery): Promise<UsageSum[]> {
  const column = columns[by]
  let query = database.read
    .selectFrom('ledger')
    .select((row) => [
      row.ref(column).as('of'),
      row.fn.countAll<string>().as('responses'),
      row.fn.sum<string>('input_tokens').as('input'),
      row.fn.sum<string>('output_tokens').as('output'),
      row.fn.sum<string>('cached_input_tokens').as('cached'),
      row.fn.sum<string>('reasoning_tokens').as('reasoning'),
      row.fn.sum<string | null>('cost_nano_dollars').as('cost'),
      row.fn.count<string>('cost_nano_dollars').as('priced'),
      row.fn.sum<string>('estimated').as('estimated'),
    ])
    .groupBy(column)
  if (since !== undefined) query = query.where('created_at', '>=', since)
  if (until !== undefined) query = query.where('created_at', '<', until)
  const sums = new Map<string | null, UsageSum>()
  for (const row of await query.execute()) {
    const of = by === 'team' ? teamsOf(row.of ?? '{}') : row.of
    // PostgreSQL returns sums as text.
    const responses = Number(row.responses)
    add(sums, {
      of,
      responses,
      inputTokens: Number(row.input),
      outputTokens: Number(row.output),
      cachedInputTokens: Number(row.cached),
      reasoningTokens: Number(row.reasoning),
      costNanoDollars: Number(row.cost ?? 0),
      estimated: Number(row.estimated),
      unpriced: responses - Number(row.priced),
    })
  }
  return [...sums.values()].toSorted(
    (a, b) => b.costNanoDollars - a.costNanoDollars || b.responses - a.responses || (a.of ?? '').localeCompare(b.of ?? ''),
  )
}

function add(sums: Map<string | null, UsageSum>, sum: UsageSum): void {
  const known = sums.get(sum.of)
  sums.set(sum.of, known ? sumOf([known, sum], sum.of) : sum)
}

/** The total. */
export function sumOf(sums: readonly UsageSum[], of: string | null): UsageSum {
  const total = (pick: (sum: UsageSum) => number): number => sums.reduce((before, sum) => before + pick(sum), 0)
  return {
    of,
    responses: total((sum) => sum.responses),
    inputTokens: total((sum) => sum.inputTokens),
    outputTokens: total((sum) => sum.outputTokens),
    cachedInputTokens: total((sum) => sum.cachedInputTokens),
    reasoningTokens: total((sum) => sum.reasoningTokens),
    costNanoDollars: total((sum) => sum.costNanoDollars),
    estimated: total((sum) => sum.estimated),
    unpriced: total((sum) => sum.unpriced),
  }
}

function teamsOf(attributes: string): string | null {
  const { teams } = JSON.parse(attributes) as { teams?: unknown }
  return Array.isArray(teams) && teams.length > 0 ? [...new Set(teams.map(String))].toSorted().join(', ') : null
}
