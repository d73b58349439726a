import { ApiError, type Denial, maxRetryWait } from '../errors.ts'
import type { Counter, Demand, QuotaRefusal } from './counters.ts'
import { formatAmount } from './governance-limits.ts'

interface QuotaRefusalFacts {
  readonly demands: readonly Demand[]
  /** Milliseconds to the end of the counter’s window. */
  readonly reset: number
  /** Unix milliseconds. */
  readonly now: number
  /** Whether the request has no output limit. */
  readonly omitsMaxTokens?: boolean
  /** The request's field that limits its output. Absent: it has none, or generates no text. */
  readonly limitField?: string | undefined
}

/**
 * The error of a refused request: a rate limit with `Retry-After` where a retry within a minute may succeed, else used-up quota.
 */
export function quotaExceeded(refusal: QuotaRefusal, facts: QuotaRefusalFacts): ApiError {
  const { refused: counter, retryAfter, exceedsLimit } = refusal
  const { label, limitName, unit, period } = counter
  const seconds = Math.max(1, Math.ceil(retryAfter / 1000))
  const denial = { by: 'quota', reason: `limit ${label}`, limit: limitName ?? null } as const
  if (exceedsLimit) return exhausted(tooLarge(refusal, facts), denial)
  if (unit === 'slots') {
    return temporary(`Too many concurrent requests: ${label}. Try again in ${seconds} s.`, Math.min(seconds, maxRetryWait), denial)
  }
  // Requests in flight hold their worst cases, and most will return a part.
  if (retryAfter < facts.reset && retryAfter <= maxRetryWait * 1000) {
    return temporary(
      `Quota temporarily exceeded: ${label}. The remainder is reserved by requests in flight. Try again in ${seconds} s.`,
      seconds,
      denial,
    )
  }
  const isLong = unit === 'nano_dollars' || period === 'day' || period === 'week' || period === 'month' || retryAfter > maxRetryWait * 1000
  if (!isLong) return temporary(`Quota exceeded: ${label}. Try again in ${seconds} s.`, seconds, denial)
  const again = new Date(facts.now + retryAfter).toISOString().replace(/\.\d+Z$/, 'Z')
  return exhausted(`Quota exceeded: ${label}. Resets at ${again}.`, denial)
}

type QuotaDenial = Denial & { readonly by: 'quota' }

function temporary(message: string, seconds: number, denial: QuotaDenial): ApiError {
  return new ApiError('rate_limit_error', message, {
    code: 'rate_limit_exceeded',
    headers: { 'retry-after': String(seconds) },
    denial,
  })
}

function exhausted(message: string, denial: QuotaDenial, code = 'insufficient_quota'): ApiError {
  return new ApiError('rate_limit_error', message, { code, retryable: false, denial })
}

function tooLarge({ refused: counter }: QuotaRefusal, { demands, omitsMaxTokens, limitField }: QuotaRefusalFacts): string {
  const { unit, label, limit } = counter
  const amount = demands.find((demand) => demand.counter === counter || demand.counter.id === counter.id)?.amount ?? 0
  if (limit === 0 || unit === 'requests' || unit === 'slots') return `Quota exceeded: ${label}.`
  const hint =
    limitField === undefined || unit === 'input_tokens'
      ? 'Shorten the request.'
      : omitsMaxTokens
        ? `Set ${limitField} to reserve less.`
        : `Shorten the request or lower ${limitField}.`
  return `Quota exceeded: this request may take up to ${formatAmount(unit, amount)}, which exceeds the whole limit: ${label}. ${hint}`
}

/** A limit in dollars applies, and the price of the model is unknown. */
export function unknownPrice(model: string, { label, limitName }: Pick<Counter, 'label' | 'limitName'>): ApiError {
  const message =
    `No price is known for model '${model}', and a limit in dollars applies: ${label}. ` +
    'Set a price in server.quota.prices, or allow such requests with server.quota.unpriced: allow.'
  return exhausted(message, { by: 'quota', reason: `no price known, limit ${label}`, limit: limitName ?? null }, 'model_not_priced')
}
