import { ApiError, type ErrorType, type FailureClass, maxRetryWait } from '../../errors.ts'
import { EgressError, type EgressResponse } from '../../egress/egress.ts'
import { failureClassOf } from './failure-class.ts'
import { readErrorBody, type UpstreamErrorBody } from './upstream-error-body.ts'
import { createMasker, type Masker } from './masking.ts'
import { outlineOf } from '../../wire/json-outline.ts'

/** Whom a request went to, and what of it must never be shown. */
export interface UpstreamIdentity {
  /** The provider's id in the configuration. */
  readonly id: string
  /** Values of the headers that carried credentials. */
  readonly secrets: readonly string[]
}

/** A reply, or a frame of one, that is an error. */
interface FailedReply {
  /** The provider's HTTP status. */
  status: number
  headers?: Headers
  /** As it came, or parsed. */
  body: Uint8Array | object
}

const maxBodySize = 8_192
const maxMessageLength = 4_096
const maxReadSize = 65_536
/** Milliseconds; an error body that takes longer is left out. */
const maxReadTime = 5_000

/** Reads the body of a reply whose status is not a success. */
export async function readProviderError(upstream: UpstreamIdentity, response: EgressResponse): Promise<ApiError> {
  return toProviderError(upstream, { status: response.status, headers: response.headers, body: await readStart(response) })
}

/**
 * The provider's error as the caller gets it: its status, message, type, code, param and Retry-After, the original under `error.provider`, all of it
 * without our credentials. An error inside a 200 has the status that its body names, else 502.
 */
export function toProviderError(upstream: UpstreamIdentity, { status, headers, body }: FailedReply): ApiError {
  const mask = createMasker(upstream.secrets)
  const content = mask.value(body instanceof Uint8Array ? parse(body) : body)
  const error = typeof content === 'string' ? readText(upstream.id, content) : readErrorBody(content)
  const clientStatus = statusFor(status, error)
  return new ApiError(error.type ?? typeFor(clientStatus), messageFor(upstream.id, status, error), {
    status: clientStatus,
    code: error.code ?? null,
    param: error.param ?? null,
    headers: headers ? passedHeaders(headers, mask) : {},
    provider: { id: upstream.id, status, body: shortened(content) },
    failure: failureClassOf(status, error),
  })
}

/** What egress threw, as the caller gets it; anything else as it is. */
export function toTransportError(upstream: Pick<UpstreamIdentity, 'id'>, error: unknown): unknown {
  if (!(error instanceof EgressError)) return error
  const { status, code, what, failure } = transportErrors[error.reason]
  return new ApiError('upstream_error', `Provider '${upstream.id}' ${what}: ${error.message}.`, { status, code, failure, cause: error })
}

/** The provider's response is invalid. `what` completes "Provider 'x' …". */
export function invalidResponse(upstream: Pick<UpstreamIdentity, 'id'>, what: string, cause?: unknown): ApiError {
  return new ApiError('upstream_error', `Provider '${upstream.id}' ${what}.`, {
    code: 'upstream_invalid_response',
    failure: 'server_error',
    cause,
  })
}

/** A stream that ended before it was whole. */
export function streamInterrupted(upstream: Pick<UpstreamIdentity, 'id'>, cause?: unknown): ApiError {
  return new ApiError('upstream_error', `Provider '${upstream.id}' closed the connection before the response was complete.`, {
    code: 'upstream_interrupted',
    failure: 'interrupted',
    cause,
  })
}

interface TransportError {
  readonly status: number
  readonly code: string
  readonly failure: FailureClass
  /** Completes "Provider 'x' …". */
  readonly what: string
}

const transportErrors: Readonly<Record<EgressError['reason'], TransportError>> = {
  unreachable: { status: 502, code: 'upstream_unreachable', failure: 'connection_error', what: 'could not be reached' },
  timeout: { status: 504, code: 'upstream_timeout', failure: 'timeout', what: 'timed out' },
  interrupted: { status: 502, code: 'upstream_interrupted', failure: 'interrupted', what: 'did not complete its response' },
  tls: { status: 502, code: 'upstream_tls_error', failure: 'connection_error', what: 'failed the TLS handshake' },
  invalid_response: { status: 502, code: 'upstream_invalid_response', failure: 'server_error', what: 'returned an invalid response' },
  too_large: {
    status: 502,
    code: 'upstream_response_too_large',
    failure: 'server_error',
    what: 'returned a response that exceeds the size limit',
  },
}

/** The start of a body, even if the rest fails. */
async function readStart({ content }: EgressResponse): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  const timer = setTimeout(() => content.cancel(), maxReadTime)
  try {
    let size = 0
    for (let read = await content.read(); read && size < maxReadSize; read = await content.read()) {
      for (const piece of read) {
        pieces.push(piece)
        size += piece.length
      }
    }
  } catch (error) {
    // The status is known even if the body is incomplete. Only a client disconnect ends everything.
    if (!(error instanceof EgressError)) throw error
  } finally {
    clearTimeout(timer)
    content.cancel()
  }
  return Buffer.concat(pieces).subarray(0, maxReadSize)
}

/** Max nesting of an error's JSON; one that is deeper is treated as text, since reading it recursively would overflow the stack. */
const maxDepth = 100

function parse(body: Uint8Array): unknown {
  const text = new TextDecoder().decode(body)
  if (outlineOf(body, { depth: maxDepth, members: Infinity }).exceeded) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    // Then it is a text: many a proxy says HTML, many a server a bare line.
    return text
  }
}

function readText(id: string, text: string): UpstreamErrorBody {
  if (!/^\s*(<!doctype|<html|<\?xml|<head|<body)/i.test(text)) return readErrorBody(text)
  const title = (/<title[^<>]{0,200}>([^<]+)/i.exec(text) ?? /<h1[^<>]{0,200}>([^<]+)/i.exec(text))?.[1]?.replaceAll(/\s+/g, ' ').trim()
  return { message: `Provider '${id}' returned an HTML page${title ? `: ${title}` : ''}.` }
}

function statusFor(status: number, error: UpstreamErrorBody): number {
  if (status >= 400 && status <= 599) return status
  return status >= 200 && status < 300 ? (error.status ?? 502) : 502
}

function typeFor(status: number): ErrorType {
  return types[status] ?? (status < 500 ? 'invalid_request_error' : 'upstream_error')
}

const types: Readonly<Record<number, ErrorType>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'service_unavailable_error',
}

function messageFor(id: string, status: number, { message }: UpstreamErrorBody): string {
  if (status >= 300 && status < 400) return `Provider '${id}' returned a redirect (${status}); redirects are not followed.`
  if (message !== undefined) return message.length > maxMessageLength ? `${message.slice(0, maxMessageLength)}…` : message
  return `Provider '${id}' returned status ${status} without a message.`
}

function shortened(content: unknown): unknown {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  const bytes = Buffer.from(text)
  return bytes.length <= maxBodySize ? content : new TextDecoder().decode(bytes.subarray(0, maxBodySize - 3))
}

/** Names that vendors are known to use: `x-ratelimit-remaining`, `x-ratelimit-limit-tokens-per-minute`, `x-ratelimit-reset-requests-day`. */
const rateLimitName =
  /^x-ratelimit-(?:limit|remaining|reset|used)(?:-(?:req|requests?|tokens?|images?|audio|input|output|cached|prompt|generated|project|per|second|minute|hour|day|month))*$/
const plainNumber = /^\d{1,15}(?:\.\d{1,9})?$/
/** `6m0s`, `120ms`, `7.66s`. */
const duration = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|us|ns|[dhms])){1,6}$/
const isoDate = /^\d{4}-\d\d-\d\d[T ][\d:.]{5,18}(?:Z|[+-]\d\d:?\d\d)?$/
const httpDate = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/
const rateLimitValues = [plainNumber, duration, isoDate, httpDate]

/**
 * The headers of an error that say when a client may retry: `retry-after`, `retry-after-ms`, `x-should-retry`, and the provider's
 * `x-ratelimit-*`, which `x-corral-error-source: provider` marks as the provider's own. Only known names with values of the expected form pass, and none
 * that holds a credential. A success passes no header of the provider's: an `x-ratelimit-*` there would read as this server's.
 */
function passedHeaders(headers: Headers, mask: Masker): Record<string, string> {
  const passed: Record<string, string> = {}
  const pass = (name: string, ...forms: readonly RegExp[]): string | undefined => {
    const value = headers.get(name)?.trim()
    if (value === undefined || !forms.some((form) => form.test(value)) || mask.text(value) !== value) return undefined
    return (passed[name] = value)
  }
  for (const name of headers.keys()) if (rateLimitName.test(name)) pass(name, ...rateLimitValues)
  const after = pass('retry-after', plainNumber, httpDate)
  const milliseconds = pass('retry-after-ms', plainNumber)
  pass('x-should-retry', /^(?:true|false)$/)
  const wait = Math.max(retrySeconds(after), Number(milliseconds ?? 0) / 1000)
  if (wait > maxRetryWait) passed['x-should-retry'] = 'false'
  return passed
}

/** Of a number of seconds or an HTTP date. */
function retrySeconds(value: string | undefined): number {
  if (value === undefined) return 0
  return plainNumber.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
}
