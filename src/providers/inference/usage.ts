import type { Usage } from '../provider.ts'

/**
 * OpenAI's `usage` as this server counts; vendors leave out what they do not know. The parts then sum to the whole: cached, cache-writing and
 * spoken tokens are parts of the input, reasoning and spoken ones parts of the output, also where a vendor tells them apart from it.
 * Undefined when it is no usage at all.
 */
export function readUsage(value: unknown): Usage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const usage = value as Fields
  const input = count(usage['prompt_tokens']) ?? messagesInput(usage)
  const output = count(usage['completion_tokens']) ?? count(usage['output_tokens'])
  if (input === undefined && output === undefined) return undefined
  const prompt = usage['prompt_tokens_details'] ?? usage['input_tokens_details']
  const completion = usage['completion_tokens_details'] ?? usage['output_tokens_details']
  const parts: Parts = {
    cached: detail(prompt, 'cached_tokens') ?? count(usage['prompt_cache_hit_tokens']) ?? count(usage['cache_read_input_tokens']),
    cacheWrite: detail(prompt, 'cache_write_tokens') ?? count(usage['cache_creation_input_tokens']),
    inputAudio: detail(prompt, 'audio_tokens'),
    reasoning: detail(completion, 'reasoning_tokens'),
    outputAudio: detail(completion, 'audio_tokens'),
    dollars: dollarsOf(usage),
  }
  const whole: Usage = wholeOf({ input: input ?? 0, output: output ?? 0 }, parts, count(usage['total_tokens']))
  for (const name of partNames) {
    const part = parts[name]
    if (part !== undefined) whole[name] = part
  }
  return whole
}

const partNames = ['cached', 'cacheWrite', 'inputAudio', 'reasoning', 'outputAudio', 'dollars'] as const

type Fields = Readonly<Record<string, unknown>>
type Parts = Readonly<Record<(typeof partNames)[number], number | undefined>>

/** Anthropic's own form: its input leaves out what was read from a cache or written to one. */
function messagesInput(usage: Fields): number | undefined {
  const input = count(usage['input_tokens'])
  if (input === undefined) return undefined
  return input + (count(usage['cache_read_input_tokens']) ?? 0) + (count(usage['cache_creation_input_tokens']) ?? 0)
}

/**
 * Some vendors (xAI, Gemini) count reasoning in the total and not in the output, and some cached tokens not in the input: a part that is
 * larger than its whole, or a total above the sum, tells.
 */
function wholeOf(said: { input: number; output: number }, { cached = 0, cacheWrite = 0, reasoning = 0 }: Partial<Parts>, total = 0): Usage {
  const input = cached + cacheWrite > said.input ? said.input + cached + cacheWrite : said.input
  const output = reasoning > said.output ? said.output + reasoning : said.output
  return { input, output: Math.max(output, total - input) }
}

/** What the answer costs by the provider's own account: OpenRouter (with the account it goes to), Perplexity, DeepInfra. */
function dollarsOf({ cost, cost_details: details, is_byok: isOwnAccount, estimated_cost: estimated }: Fields): number | undefined {
  const total = count(cost) ?? detail(cost, 'total_cost') ?? count(estimated)
  return total !== undefined && isOwnAccount === true ? total + (detail(details, 'upstream_inference_cost') ?? 0) : total
}

function detail(details: unknown, name: string): number | undefined {
  return typeof details === 'object' && details !== null ? count((details as Fields)[name]) : undefined
}

/** More than any answer takes: what is beyond is a mistake, and nothing is known. */
const mostCounted = 1e12

function count(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= mostCounted ? value : undefined
}
