import { ApiError, shortened } from '../errors.ts'
import type { CallerUrl } from './caller-url.ts'
import type { Egress, EgressResponse, NetworkOptions } from './contract.ts'
import { EgressError } from './egress-error.ts'

export interface DocumentRequest {
  /** May carry a credential for the URL's own host: it goes nowhere else. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Of the whole document, unpacked. */
  readonly maxBytes: number
  /** Milliseconds for everything: names, redirects, the body. Default 30 s. */
  readonly timeout?: number
  /** Default 3; 0 follows none. */
  readonly maxRedirects?: number
  readonly network?: NetworkOptions | undefined
  /** Gets the head of the last response before its body is read; what it throws ends the request. */
  readonly checkHead?: (status: number, headers: Headers) => void
}

interface FetchedDocument {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
}

const defaultTimeout = 30_000
const defaultMaxRedirects = 3

/** Headers that any host may get: no credentials, nothing that identifies the caller. */
const uncredentialedHeaders = new Set(['accept', 'accept-encoding', 'accept-language', 'range', 'user-agent'])

/**
 * Fetches a document from a URL that a caller chose. Redirects are followed, each judged as the URL itself was: no credential goes to another origin,
 * and none leads from https to http. Throws as `Egress.request` does; EgressError `too_large`, `timeout`, and `invalid_response` where redirects do not end.
 */
export async function fetchDocument(egress: Pick<Egress, 'request'>, url: CallerUrl, request: DocumentRequest): Promise<FetchedDocument> {
  const { signal, maxBytes, timeout = defaultTimeout, checkHead } = request
  signal.throwIfAborted()
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => controller.abort(new EgressError('timeout', `it took longer than ${timeout / 1000} s`)), timeout)
  try {
    const { status, headers, content } = await follow(egress, url, { ...request, signal: controller.signal })
    try {
      checkHead?.(status, headers)
      return { status, headers, bytes: await content.bytes(maxBytes) }
    } finally {
      content.cancel()
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

async function follow(egress: Pick<Egress, 'request'>, start: CallerUrl, request: DocumentRequest): Promise<EgressResponse> {
  const { signal, network, maxRedirects = defaultMaxRedirects } = request
  let url = start
  let headers = request.headers ?? {}
  for (let hop = 0; ; hop += 1) {
    const response = await egress.request(url, { method: 'GET', headers: { ...headers }, signal, network })
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || response.status === 304 || location === null || maxRedirects === 0)
      return response
    response.content.cancel()
    if (hop >= maxRedirects) throw new EgressError('invalid_response', `it redirects more than ${maxRedirects} times`)
    const next = url.redirectedTo(location)
    if (url.url.protocol === 'https:' && next.url.protocol !== 'https:') throw downgraded(next)
    if (next.url.origin !== url.url.origin) headers = withoutCredentials(headers)
    url = next
  }
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => uncredentialedHeaders.has(name)))
}

function downgraded({ url }: CallerUrl): ApiError {
  return new ApiError('invalid_request_error', 'A URL in the request redirects from https to http, which this server does not follow.', {
    code: 'url_not_allowed',
    denial: {
      by: 'egress',
      reason: `${shortened(url.host)}: redirected from https to http`,
      action: 'connect',
      resource: `host::${shortened(url.host)}`,
    },
  })
}
