import type { Usage } from '../provider.ts'

/** OpenAI's `usage` as this server counts; vendors leave out what they do not know. Undefined when it is no usage at all. */
export function readUsage(value: unknown): Usage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const usage = value as Record<string, unknown>
  const input = count(usage['prompt_tokens']) ?? count(usage['input_tokens'])
  const output = count(usage['completion_tokens']) ?? count(usage['output_tokens'])
  if (input === undefined && output === undefined) return undefined
  const cached = detail(usage['prompt_tokens_details'], 'cached_tokens') ?? count(usage['prompt_cache_hit_tokens'])
  const reasoning = detail(usage['completion_tokens_details'], 'reasoning_tokens')
  return {
    input: input ?? 0,
    output: output ?? 0,
    ...(cached !== undefined && { cached }),
    ...(reasoning !== undefined && { reasoning }),
  }
}

function detail(details: unknown, name: string): number | undefined {
  return typeof details === 'object' && details !== null ? count((details as Record<string, unknown>)[name]) : undefined
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
