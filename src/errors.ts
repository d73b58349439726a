/** The types of our errors, with their default statuses. */
export const errorStatus = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  rate_limit_error: 429,
  upstream_error: 502,
  service_unavailable_error: 503,
  server_error: 500,
} as const

export type ErrorType = keyof typeof errorStatus

/** Why a request failed, in one word for retries, logs, spans and metrics. */
export type FailureClass =
  | 'connection_error'
  | 'rate_limited'
  | 'quota_exceeded'
  | 'overloaded'
  | 'server_error'
  | 'timeout'
  | 'interrupted'
  | 'context_length_exceeded'
  | 'content_filtered'
  | 'credentials_rejected'
  | 'invalid_request'

/** A provider's error response, shown to the caller under `error.provider`. */
export interface ProviderFault {
  /** The provider's id in this server's configuration. */
  id: string
  /** The provider's own HTTP status. */
  status: number
  /** The original body, at most 8 kB, credentials masked: JSON where it was JSON, else text. */
  body: unknown
}

/** The part that refused a request, and why, for the log and the audit log: never shown to the caller, whose message may have to say less. */
export interface Denial {
  readonly by: 'host' | 'origin' | 'authentication' | 'route_policy' | 'access_policy' | 'key' | 'quota' | 'egress'
  /** For people, without secrets, e.g. `token expired`, `rule 3 (contractors stay out)`, `limit 'team-a monthly'`. */
  readonly reason: string
  /** Of a limit that refused: its name in the configuration; null: of a limit that is not configured, as those of keys. For metrics. */
  readonly limit?: string | null | undefined
  readonly action?: string | undefined
  /** E.g. `model::groq/llama-3.3-70b`. */
  readonly resource?: string | undefined
}

export interface ErrorDetail {
  /** Set by the part that refuses; recorded once, where the request ends. */
  denial?: Denial
  /** Overrides the type's default status. */
  status?: number
  code?: string | null
  /** The path of the field at fault, e.g. `messages[0].role`. */
  param?: string | null
  /** Extra response headers, e.g. `retry-after`. */
  headers?: Record<string, string>
  provider?: ProviderFault
  /** Default: by type, code and status. */
  failure?: FailureClass
  /** Whether the same request may succeed within a minute. Default: by failure class, status and headers. */
  retryable?: boolean
  /** For the log only; never shown to the caller. */
  cause?: unknown
}

/** The one error that reaches callers as it is. Anything else thrown becomes an opaque 500. */
export class ApiError extends Error {
  readonly status: number
  /** One of ours, or the provider's own spelling where the provider's error is passed on. */
  readonly type: string
  readonly code: string | null
  readonly param: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly provider: ProviderFault | undefined
  readonly denial: Denial | undefined
  readonly failure: FailureClass
  /** Whether the same request may succeed within a minute. */
  readonly retryable: boolean

  constructor(type: ErrorType | (string & {}), message: string, detail: ErrorDetail = {}) {
    super(maskApiKeys(message), { cause: detail.cause })
    this.name = 'ApiError'
    this.type = type
    this.status = detail.status ?? (Object.hasOwn(errorStatus, type) ? errorStatus[type as ErrorType] : 500)
    this.code = detail.code ?? null
    this.param = detail.param ?? null
    this.headers = detail.headers ?? {}
    this.provider = detail.provider
    this.denial = detail.denial
    this.failure = detail.failure ?? failureOf(this)
    this.retryable = detail.retryable ?? isRetryable(this)
  }
}

/** By status, for the types that are not ours. */
const failureByStatus: Readonly<Record<number, FailureClass>> = {
  401: 'credentials_rejected',
  403: 'credentials_rejected',
  408: 'timeout',
  429: 'rate_limited',
  503: 'overloaded',
  504: 'timeout',
  529: 'overloaded',
}

const failureByCode: Readonly<Record<string, FailureClass>> = {
  insufficient_quota: 'quota_exceeded',
  upstream_unreachable: 'connection_error',
  upstream_tls_error: 'connection_error',
  upstream_interrupted: 'interrupted',
}

function failureOf({ status, code }: Pick<ApiError, 'status' | 'code'>): FailureClass {
  const known = code !== null && Object.hasOwn(failureByCode, code) ? failureByCode[code] : failureByStatus[status]
  return known ?? (status >= 500 ? 'server_error' : 'invalid_request')
}

const temporary: ReadonlySet<FailureClass> = new Set([
  'connection_error',
  'rate_limited',
  'overloaded',
  'server_error',
  'timeout',
  'interrupted',
])

/** The maximum `Retry-After` that clients and proxies wait for, in seconds. A failure with a longer one does not count as retryable. */
export const maxRetryWait = 60

function isRetryable({ failure, status, headers }: Pick<ApiError, 'failure' | 'status' | 'headers'>): boolean {
  return (
    headers['x-should-retry'] !== 'false' && status !== 409 && temporary.has(failure) && !(Number(headers['retry-after']) > maxRetryWait)
  )
}

/** Characters of a caller's own text that a message repeats. */
const maxQuotedLength = 200

/** Beyond what is shown of a text, characters that are looked at: a token at the cut is masked whole. */
const maxTokenLength = 128

/**
 * A text for a message or a log line, with Corral's API keys masked: complete, or cut after `maxLength` characters. What callers send may be
 * megabytes long.
 */
export function shortened(text: string, maxLength = maxQuotedLength): string {
  if (text.length <= maxLength) return maskApiKeys(text)
  const masked = maskApiKeys(text.slice(0, maxLength + maxTokenLength))
  return masked.length > maxLength ? `${masked.slice(0, maxLength)}…` : `${masked}…`
}

/** Also as URLs spell the underscore. Shorter ones hold nothing of the secret. */
const tokens = /crl(?:_|%5f)[0-9a-z_%]{8,}/gi

/** A text in which API keys of ours (`crl_…`) are masked: callers put them where an id belongs, and messages and log lines repeat that. */
export function maskApiKeys(text: string): string {
  return text.includes('crl') || text.includes('CRL') ? text.replaceAll(tokens, 'crl_***') : text
}

export function invalidRequest(message: string, detail: ErrorDetail = {}): ApiError {
  return new ApiError('invalid_request_error', message, detail)
}

/** Absent, or not visible to the caller: only the log distinguishes the two. */
export function notFound(kind: string, id: string, detail: ErrorDetail = {}): ApiError {
  return new ApiError('not_found_error', `${kind} '${shortened(id)}' was not found, or you do not have access to it.`, detail)
}

/** A dependency of ours is down or not there yet. `retryAfter` is in seconds. */
export function unavailable(message: string, retryAfter: number, detail: ErrorDetail = {}): ApiError {
  return new ApiError('service_unavailable_error', message, {
    ...detail,
    headers: { 'retry-after': String(retryAfter), ...detail.headers },
  })
}
