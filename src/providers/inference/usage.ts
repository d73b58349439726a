import type { Usage } from '../provider.ts'
import type { ReplyHooks } from './reply-hooks.ts'

/**
 * Reads `usage` in the forms of OpenAI, Anthropic and the providers that extend them. The parts sum to the whole: cached, cache-writing and
 * spoken tokens are parts of the input, reasoning and spoken ones parts of the output, also where a vendor reports them beside it. Token
 * counts are whole numbers. Undefined when the value is not a usage object, reports a count that cannot be read, or no tokens and no cost, as servers that do not
 * count do: it is then estimated.
 */
export function readUsage(value: unknown, usageOf?: ReplyHooks['usageOf']): Usage | undefined {
  if (!isFields(value)) return undefined
  const usage = readPlainUsage(value) ?? readAnyUsage(value)
  return usageOf ? usageOf(value, usage) : usage
}

/**
 * OpenAI's form with counts that add up and details that are all zero: what most responses report, read at a tenth of the cost. Undefined for any
 * other.
 */
function readPlainUsage(value: UsageFields): Usage | undefined {
  const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = value
  if (!isPlainCount(input) || !isPlainCount(output) || total !== input + output || total === 0) return undefined
  const usage: Usage = { input, output }
  for (const name in value) {
    const details = value[name]
    if (details === null || plainCounts.has(name)) continue
    const parts = plainParts.get(name)
    if (!parts || !isFields(details)) return undefined
    for (const part in details) {
      const known = parts.get(part)
      if (known === undefined || (details[part] !== 0 && details[part] !== null)) return undefined
      if (known !== null && details[part] === 0) usage[known] = 0
    }
  }
  return usage
}

type PlainPart = 'cached' | 'inputAudio' | 'reasoning' | 'outputAudio' | null

const plainCounts = new Set(['prompt_tokens', 'completion_tokens', 'total_tokens'])
/** OpenAI's details, and which part of the usage each is; null: of none. */
const plainParts = new Map([
  [
    'prompt_tokens_details',
    new Map<string, PlainPart>([
      ['cached_tokens', 'cached'],
      ['audio_tokens', 'inputAudio'],
    ]),
  ],
  [
    'completion_tokens_details',
    new Map<string, PlainPart>([
      ['reasoning_tokens', 'reasoning'],
      ['audio_tokens', 'outputAudio'],
      ['accepted_prediction_tokens', null],
      ['rejected_prediction_tokens', null],
    ]),
  ],
])

function isPlainCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maxTokens
}

function readAnyUsage(value: UsageFields): Usage | undefined {
  const counts = countsOf(value)
  if (!counts) return undefined
  const inputDetails = detailsOf(value, inputDetailNames)
  const outputDetails = detailsOf(value, outputDetailNames)
  const reasoning = largestCount([...outputDetails.map((details) => details['reasoning_tokens']), value['reasoning_tokens']])
  const { input, cached, cacheWrite } = inputOf(value, inputDetails, { ...counts, reasoning: reasoning ?? 0 })
  // Some vendors (xAI, Gemini, Perplexity) count reasoning in the total only, or not at all: a part larger than its whole is beside it.
  const reported = reasoning !== undefined && reasoning > counts.output ? counts.output + reasoning : counts.output
  const usage: Usage = { input, output: Math.max(reported, (counts.total ?? 0) - input) }
  const parts = {
    cached,
    cacheWrite,
    inputAudio: largestCount(inputDetails.map((details) => details['audio_tokens'])),
    reasoning,
    outputAudio: largestCount(outputDetails.map((details) => details['audio_tokens'])),
    dollars: dollarsOf(value),
  }
  for (const name of partNames) {
    const part = parts[name]
    if (part !== undefined) usage[name] = part
  }
  return isEmpty(usage) ? undefined : usage
}

function isEmpty({ input, output, dollars: cost }: Usage): boolean {
  return input === 0 && output === 0 && cost === undefined
}

/**
 * The usage of a rerank response: `usage` of vLLM, llama.cpp and Jina, whose total may be all there is, or Cohere's `meta.tokens` and
 * `meta.billed_units`. Undefined where tokens are not reported.
 */
export function readRankingUsage(document: unknown): Usage | undefined {
  if (!isFields(document)) return undefined
  const { usage: reported, meta } = document
  const reports = [reported, ...(isFields(meta) ? [meta['tokens'], meta['billed_units']] : [])].filter(isFields)
  const input = largestCount(reports.flatMap((fields) => [fields['prompt_tokens'], fields['input_tokens'], fields['total_tokens']]))
  const cost = isFields(reported) ? dollarsOf(reported) : undefined
  if (input === undefined) return undefined
  const usage: Usage = { input, output: 0, ...(cost !== undefined && { dollars: cost }) }
  return isEmpty(usage) ? undefined : usage
}

const partNames = ['cached', 'cacheWrite', 'inputAudio', 'reasoning', 'outputAudio', 'dollars'] as const

const inputDetailNames = ['prompt_tokens_details', 'input_tokens_details', 'prompt_token_details']
const outputDetailNames = ['completion_tokens_details', 'output_tokens_details']

/** Names of the tokens read from a cache. Gateways report several of them at once, often with a zero in one place and the count in another. */
const cachedNames = {
  /** OpenAI, Gemini, Groq, xAI, OpenRouter, vLLM and most others; DashScope. */
  inDetails: ['cached_tokens', 'cache_read_input_tokens'],
  /** Moonshot and Together; Mistral; DeepSeek; Anthropic, LiteLLM and Databricks. */
  beside: ['cached_tokens', 'num_cached_tokens', 'prompt_cache_hit_tokens', 'cache_read_input_tokens'],
}

/** Names of the tokens written to a cache: OpenAI and OpenRouter; LiteLLM; DashScope and Anthropic. */
const cacheWriteNames = {
  inDetails: ['cache_write_tokens', 'cache_creation_tokens', 'cache_creation_input_tokens'],
  beside: ['cache_creation_input_tokens'],
}

type UsageFields = Readonly<Record<string, unknown>>

interface Counts {
  readonly input: number
  readonly output: number
  readonly total: number | undefined
}

/** Embeddings report no output. A count that is reported and cannot be read is taken from the total, or the whole usage is unknown. */
function countsOf(usage: UsageFields): Counts | undefined {
  const total = count(usage['total_tokens'])
  const input = firstOf(usage, ['prompt_tokens', 'input_tokens'])
  const output = firstOf(usage, ['completion_tokens', 'output_tokens'])
  if (input.tokens === undefined && output.tokens === undefined) return undefined
  if (total === undefined && (input.tokens === undefined || (output.isReported && output.tokens === undefined))) return undefined
  return { input: input.tokens ?? Math.max((total ?? 0) - (output.tokens ?? 0), 0), output: output.tokens ?? 0, total }
}

function firstOf(usage: UsageFields, names: readonly string[]): { tokens: number | undefined; isReported: boolean } {
  const values = names.map((name) => usage[name]).filter((value) => value !== undefined && value !== null)
  return { tokens: values.map(count).find((tokens) => tokens !== undefined), isReported: values.length > 0 }
}

type InputParts = Pick<Usage, 'input'> & { cached?: number | undefined; cacheWrite?: number | undefined }

/**
 * The input with its cached parts: of several counts the largest that is not above the reported input. Anthropic's own form, and what some
 * proxies make of it, leave cached tokens out of the input; they are then added.
 */
function inputOf(
  usage: UsageFields,
  details: readonly UsageFields[],
  { input, output, reasoning, total }: Counts & { reasoning: number },
): InputParts {
  const cached = largestUpTo(input, valuesOf(usage, details, cachedNames))
  const cacheWrite = largestUpTo(input, valuesOf(usage, details, cacheWriteNames))
  const parts = (cached ?? 0) + (cacheWrite ?? 0)
  const whole = { input: input + parts, cached, cacheWrite }
  if (isMessagesForm(usage, details)) return whole
  const excess = total === undefined ? undefined : total - input - output
  if (parts <= input) return parts > 0 && excess === parts && excess !== reasoning ? whole : { ...whole, input }
  if (namesMessagesParts(usage) || excess === undefined || excess >= parts) return whole
  // The total confirms the input: a part that does not fit into it is an error of the provider.
  const fitting = cached !== undefined && cached <= input ? cached : undefined
  return { input, cached: fitting, cacheWrite: cacheWrite !== undefined && cacheWrite <= input - (fitting ?? 0) ? cacheWrite : undefined }
}

/** Anthropic's Messages form: `input_tokens` without OpenAI's details excludes what was read from a cache or written to one. */
function isMessagesForm(usage: UsageFields, details: readonly UsageFields[]): boolean {
  return count(usage['prompt_tokens']) === undefined && count(usage['input_tokens']) !== undefined && details.length === 0
}

function namesMessagesParts(usage: UsageFields): boolean {
  return [usage['cache_read_input_tokens'], usage['cache_creation_input_tokens']].some((value) => (count(value) ?? 0) > 0)
}

function valuesOf(usage: UsageFields, details: readonly UsageFields[], names: typeof cachedNames): unknown[] {
  return [...details.flatMap((fields) => names.inDetails.map((name) => fields[name])), ...names.beside.map((name) => usage[name])]
}

/** The largest count up to `max`; where only zeros fit, the largest of all. */
function largestUpTo(max: number, values: readonly unknown[]): number | undefined {
  const fitting = largestCount(values.filter((value) => (count(value) ?? 0) <= max))
  return fitting !== undefined && fitting > 0 ? fitting : largestCount(values)
}

function largestCount(values: readonly unknown[]): number | undefined {
  const counts = values.map(count).filter((tokens) => tokens !== undefined)
  return counts.length === 0 ? undefined : Math.max(...counts)
}

/** What the response costs by the provider's own account, with that of the upstream account that a gateway uses. */
function dollarsOf({ cost, cost_details: details, is_byok: isOwnAccount, estimated_cost: estimated }: UsageFields) {
  const total = toDollars(cost) ?? (isFields(cost) ? toDollars(cost['total_cost']) : undefined) ?? toDollars(estimated)
  if (total === undefined || isOwnAccount !== true) return total
  return total + ((isFields(details) ? toDollars(details['upstream_inference_cost']) : undefined) ?? 0)
}

function detailsOf(usage: UsageFields, names: readonly string[]): UsageFields[] {
  return names.map((name) => usage[name]).filter(isFields)
}

function isFields(value: unknown): value is UsageFields {
  return typeof value === 'object' && value !== null
}

/** No response takes more tokens or costs more: a larger figure is a mistake, and not counted. */
const maxTokens = 1e9
const maxDollars = 1e5

/** Tokens as a whole number: a fraction is rounded up. */
function count(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= maxTokens ? Math.ceil(value) : undefined
}

/** A cost in units of which a dollar has so many; undefined where it cannot be a cost. */
export function toDollars(value: unknown, unitsPerDollar = 1): number | undefined {
  return typeof value === 'number' && value >= 0 && value / unitsPerDollar <= maxDollars ? value / unitsPerDollar : undefined
}
