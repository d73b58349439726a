import { z } from 'zod'
import { isAboutUserAlone, parseCondition } from '../access/conditions.ts'
import { periods } from '../call.ts'
import { type ConfiguredLimit, defaultMaxTokens, type LimitSubject, type QuotaConfig, type QuotaStoreConfig } from './config.ts'

const subject = z
  .string()
  .regex(
    /^(?:global|key|user|team|model|provider|address|attribute:\S+)$/,
    'must be global, key, user, team, model, provider, address or attribute:<name>',
  )

const condition = z.string().superRefine((text, context) => {
  const message = conditionError(text)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})

function conditionError(text: string): string | undefined {
  try {
    if (isAboutUserAlone(parseCondition(text))) return undefined
  } catch (error) {
    return (error as Error).message
  }
  return `Invalid condition: ${text.trim()} (a limit has no owner: only 'user with VALUE in ATTRIBUTE' and 'user with VALUE not in ATTRIBUTE' are allowed here)`
}

function oneOrMany<T extends z.ZodType>(one: T) {
  return z.union([one, z.array(one).min(1, 'must have at least one entry')])
}

/** Not `z.int()`, whose complaint is one of type. */
function integer(min: number, message: string) {
  const max = Number.MAX_SAFE_INTEGER
  return z.number().min(min, message).max(max, `must be at most ${max}`).refine(isInteger, 'must be a whole number')
}

function isInteger(value: number): boolean {
  return Number.isInteger(value)
}

const amount = integer(0, 'must not be negative')
/** Money below this would count as nothing at all; 0 itself says so. */
function minimumNonZero(min: number, text: string) {
  return (value: number, context: z.core.$RefinementCtx<number>): void => {
    if (value > 0 && value < min) context.addIssue({ code: 'custom', message: `is below the smallest countable amount, ${text}` })
  }
}

const price = z
  .number()
  .min(0, 'must not be negative')
  .max(1_000_000, 'is in US dollars for a million tokens: at most 1000000')
  .superRefine(minimumNonZero(1e-6, '0.000001 US dollars for a million tokens'))
const nonEmpty = z.string().min(1, 'must not be empty')

/** Billionths of a dollar stay exact up to this. */
const maxDollars = 9_000_000

function checkSubjects(per: string | readonly string[], context: z.core.$RefinementCtx): void {
  if (typeof per === 'string' || per.length < 2) return
  const duplicate = per.find((one, at) => per.indexOf(one) < at)
  if (duplicate !== undefined) context.addIssue({ code: 'custom', message: `repeats ${duplicate}` })
  else if (per.includes('global'))
    context.addIssue({ code: 'custom', message: "'global' counts everything together and cannot be combined" })
}

const amounts = ['requests', 'input_tokens', 'output_tokens', 'total_tokens', 'dollars'] as const

export const limitSchema = z
  .strictObject({
    name: nonEmpty.max(100, 'must have at most 100 characters').nullish().describe('Named in the error of a refused request.'),
    per: oneOrMany(subject)
      .superRefine(checkSubjects)
      .nullish()
      .describe(
        'What is counted together: global, key, user, team, model, provider, address, attribute:<name>, or a list (each combination). Default user.',
      ),
    when: oneOrMany(condition).nullish().describe('Conditions of the policy language; the limit applies if all hold.'),
    models: oneOrMany(nonEmpty).nullish().describe('Patterns of model ids, `*` for any characters; absent: all.'),
    providers: oneOrMany(nonEmpty).nullish().describe('Ids of providers; absent: all.'),
    requests: amount.nullish().describe('Requests per period.'),
    input_tokens: amount.nullish().describe('Input tokens per period.'),
    output_tokens: amount.nullish().describe('Output tokens per period.'),
    total_tokens: amount.nullish().describe('Input and output tokens per period.'),
    dollars: z
      .number()
      .min(0, 'must not be negative')
      .max(maxDollars, `must be at most ${maxDollars}`)
      .superRefine(minimumNonZero(1e-9, '0.000000001 US dollars'))
      .nullish()
      .describe('US dollars per period.'),
    concurrent_requests: amount.nullish().describe('Concurrent requests.'),
    period: z.enum(periods).nullish().describe('second, minute, hour, day, week (from Monday) or month, in UTC.'),
  })
  .superRefine((limit, context) => {
    const given = amounts.filter((name) => typeof limit[name] === 'number')
    const concurrent = typeof limit.concurrent_requests === 'number'
    if (given.length === 0 && !concurrent) {
      context.addIssue({ code: 'custom', path: [], message: `sets no limit: needs one of ${amounts.join(', ')}, concurrent_requests` })
    }
    if (given.length > 0 && !limit.period) {
      context.addIssue({ code: 'custom', path: ['period'], message: `${given[0]} needs a period: ${periods.join(', ')}` })
    }
  })

const priceSchema = z.strictObject({
  provider: nonEmpty.nullish().describe("A provider's id; absent: any."),
  model: nonEmpty.describe("A pattern of the model's id, `*` for any characters: as the catalogue has it, or the provider's own."),
  input_per_million: price.describe('US dollars per million input tokens.'),
  output_per_million: price.nullish().describe('US dollars per million output tokens; optional for embeddings and reranking only.'),
  cached_input_per_million: price.nullish().describe('Input tokens read from a cache. Default: the input price.'),
  cache_write_per_million: price.nullish().describe('Input tokens written to a cache. Default: the input price.'),
  input_audio_per_million: price.nullish().describe('Audio input tokens. Default: the input price.'),
  output_audio_per_million: price.nullish().describe('Audio output tokens. Default: the output price.'),
  per_request: z
    .number()
    .min(0, 'must not be negative')
    .max(1_000, 'must be at most 1000')
    .superRefine(minimumNonZero(1e-9, '0.000000001 US dollars'))
    .nullish()
    .describe('US dollars per request.'),
})

const namespace = nonEmpty.nullish().describe('Separates servers that share a backend.')
const byBackend = z.strictObject({ backend: nonEmpty.describe('A name of storage.backends.'), namespace })
/** Llama Stack's older form. */
const inlineSqlite = z.strictObject({
  type: z.literal('sqlite').nullish(),
  db_path: nonEmpty.describe('A SQLite file.'),
  namespace,
})
/** Any other database is named in `storage.backends`. */
const inlineOther = z
  .looseObject({
    type: z.string().refine(() => false, "must be sqlite; for another database name a backend of storage.backends, e.g. 'backend: redis'"),
  })
  .transform(() => z.NEVER)
const store = z.union([byBackend, inlineSqlite, inlineOther])

/** `server.quota`: Llama Stack's keys, and Corral's own. */
export const quotaSchema = z
  .strictObject({
    kvstore: store.nullish().describe('The shared store (Llama Stack). Enables the two limits below.'),
    anonymous_max_requests: integer(1, 'must be at least 1')
      .nullish()
      .describe('Requests per period and address, without authentication. Default 100 if any of these keys is set.'),
    authenticated_max_requests: integer(1, 'must be at least 1')
      .nullish()
      .describe('Requests per period and user. Default 1000 if any of these keys is set.'),
    period: z.enum(periods).nullish().describe('Period of these two limits. Default day.'),
    limits: z.array(limitSchema).nullish().describe('Additional limits; a request must fit all that apply.'),
    store: store.nullish().describe('Same as kvstore. Default: memory with one worker, else the metadata database.'),
    on_store_failure: z
      .enum(['open', 'closed'])
      .nullish()
      .describe('While the store is unavailable: `closed` rejects requests with 503 (default), `open` admits them uncounted.'),
    default_max_tokens: z
      .int()
      .min(1)
      .nullish()
      .describe(`Output tokens reserved for a request without a maximum. Default ${defaultMaxTokens}.`),
    input_bytes_per_token: z
      .number()
      .min(1)
      .max(8)
      .nullish()
      .describe('Bytes of text reserved as one input token. Default 1, which never underestimates.'),
    prices: z.array(priceSchema).nullish().describe('Prices that override the catalogue; the first match applies.'),
    unpriced: z
      .enum(['allow', 'refuse'])
      .nullish()
      .describe('Requests under a limit in dollars for a model without a known price. Default refuse.'),
    ledger: z.boolean().nullish().describe('Record every model response. Default: true with authentication or any limit.'),
  })
  .superRefine((quota, context) => {
    if (quota.kvstore && quota.store) {
      context.addIssue({ code: 'custom', path: ['store'], message: 'store and kvstore are aliases: set only one of them' })
    }
  })

type QuotaSection = z.output<typeof quotaSchema>

/**
 * The section as the server reads it. Where it is not there, no limits; an empty map is Llama Stack's quota with its defaults, as it is there, for
 * who writes it means to be protected.
 */
export function toQuotaConfig(section: QuotaSection | null | undefined): QuotaConfig {
  if (!section) return { limits: [] }
  const { kvstore, anonymous_max_requests: anonymous, authenticated_max_requests: authenticated, period } = section
  const isEmpty = Object.values(section).every((value) => value === undefined || value === null)
  const hasRequestQuota = isEmpty || [kvstore, anonymous, authenticated, period].some((value) => value !== undefined && value !== null)
  return {
    requests: hasRequestQuota ? { anonymous: anonymous ?? 100, authenticated: authenticated ?? 1000, period: period ?? 'day' } : undefined,
    limits: (section.limits ?? []).map(toLimit),
    store: toStore(section.store ?? kvstore),
    onStoreFailure: section.on_store_failure ?? undefined,
    defaultMaxTokens: section.default_max_tokens ?? undefined,
    inputBytesPerToken: section.input_bytes_per_token ?? undefined,
    prices: (section.prices ?? []).map((one) => ({
      provider: one.provider ?? undefined,
      model: one.model,
      input: one.input_per_million,
      output: one.output_per_million ?? undefined,
      cachedInput: one.cached_input_per_million ?? undefined,
      cacheWrite: one.cache_write_per_million ?? undefined,
      inputAudio: one.input_audio_per_million ?? undefined,
      outputAudio: one.output_audio_per_million ?? undefined,
      request: one.per_request ?? undefined,
    })),
    unpriced: section.unpriced ?? undefined,
    ledger: section.ledger ?? undefined,
  }
}

function toLimit(limit: z.output<typeof limitSchema>): ConfiguredLimit {
  return {
    name: limit.name ?? undefined,
    per: [...new Set(listOf(limit.per ?? 'user'))] as LimitSubject[],
    when: listOf(limit.when),
    models: limit.models ? listOf(limit.models) : undefined,
    providers: limit.providers ? listOf(limit.providers) : undefined,
    // A limit of running requests alone has no period; it is of no matter then.
    period: limit.period ?? 'minute',
    requests: limit.requests ?? undefined,
    inputTokens: limit.input_tokens ?? undefined,
    outputTokens: limit.output_tokens ?? undefined,
    totalTokens: limit.total_tokens ?? undefined,
    dollars: limit.dollars ?? undefined,
    concurrentRequests: limit.concurrent_requests ?? undefined,
  }
}

function toStore(section: z.output<typeof store> | null | undefined): QuotaStoreConfig | undefined {
  if (!section) return undefined
  const named = section.namespace ? { namespace: section.namespace } : {}
  return 'backend' in section ? { backend: section.backend, ...named } : { path: section.db_path, ...named }
}

function listOf<T>(value: T | readonly T[] | null | undefined): T[] {
  if (value === null || value === undefined) return []
  return Array.isArray(value) ? [...(value as readonly T[])] : [value as T]
}
