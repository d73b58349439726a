import type { Counter, Limiter } from './counters.ts'

/** What OpenAI's headers tell apart. */
type HeaderKind = 'requests' | 'tokens'

const names = {
  requests: ['x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'],
  tokens: ['x-ratelimit-limit-tokens', 'x-ratelimit-remaining-tokens', 'x-ratelimit-reset-tokens'],
} as const satisfies Record<HeaderKind, readonly string[]>

/**
 * Pushes the headers of the tightest of `counters` (the one with the least left, then the one with the latest reset) onto
 * `headers`, names and values in turn; or over those of its kind that are in there already, where they are less tight.
 */
export function pushTightest(headers: string[], kind: HeaderKind, counters: readonly Counter[], limiter: Pick<Limiter, 'status'>): void {
  if (counters.length === 0) return
  let limit = 0
  let remaining = Infinity
  let reset = 0
  for (const counter of counters) {
    const status = limiter.status(counter)
    if (status.remaining > remaining || (status.remaining === remaining && status.reset <= reset)) continue
    limit = status.limit
    remaining = status.remaining
    reset = status.reset
  }
  const [limitName, remainingName, resetName] = names[kind]
  const left = Math.max(0, remaining)
  const at = headers.indexOf(limitName)
  if (at < 0) {
    headers.push(limitName, String(limit), remainingName, String(left), resetName, formatReset(reset))
  } else if (left < Number(headers[at + 3])) {
    headers[at + 1] = String(limit)
    headers[at + 3] = String(left)
    headers[at + 5] = formatReset(reset)
  }
}

/** A time as OpenAI writes it: `12ms`, `1s`, `6m0s`, `23h59m59s`; seconds are rounded up. */
export function formatReset(milliseconds: number): string {
  const whole = Math.max(0, Math.ceil(milliseconds))
  if (whole < 1000) return `${whole}ms`
  const seconds = Math.ceil(whole / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m${seconds % 60}s`
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`
}
