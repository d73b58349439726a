import type { Call } from '../../call.ts'
import { acceptEncoding, type CallerUrl, type EgressResponse, type NetworkOptions } from '../../egress/egress.ts'
import type { ProviderDeps } from '../provider.ts'
import { isErrorBody } from './upstream-error-body.ts'
import { traceHeaders } from './trace-headers.ts'
import { credentialsInUrl } from './url-credentials.ts'
import { invalidResponse, readProviderError, toProviderError, toTransportError, type UpstreamIdentity } from './upstream-error.ts'

/** One request for one JSON document, beside the relay: listings, reranking, tokens. */
export interface UpstreamRequest {
  /** Absolute. */
  url: string | CallerUrl
  method?: 'GET' | 'POST'
  headers?: Record<string, string>
  /** Sent as JSON, unless it is a text. */
  body?: unknown
  network?: NetworkOptions
  /** Asked without a key. */
  anonymous?: boolean
  /** What must not show in an error that the provider echoes. */
  secrets?: readonly string[]
  /** Default: the call's. */
  signal?: AbortSignal
}

/** Lists of some thousand models stay far below. */
const maxReplySize = 16 * 1024 * 1024
/** Milliseconds: these requests are fast, or fail. */
const defaultTimeout = 30_000

/**
 * Resolves with the parsed document. Throws ApiError: the provider's own error with its status, 502 or 504 when there is no response, 502 when it
 * is not JSON; an abort rejects with its reason.
 */
export async function fetchUpstreamJson(request: UpstreamRequest, deps: ProviderDeps, call: Call): Promise<unknown> {
  const upstream = upstreamOf(request, deps)
  try {
    const response = await send(request, deps, call)
    if (response.status < 200 || response.status > 299) throw await readProviderError(upstream, response)
    const document = parse(await response.content.bytes(maxReplySize), upstream)
    if (isFields(document) && isErrorBody(document) && !('data' in document)) {
      throw toProviderError(upstream, { status: response.status, headers: response.headers, body: document })
    }
    return document
  } catch (error) {
    throw toTransportError(upstream, error)
  }
}

/** Asks, and is content with any success, whatever its body says. Throws as `askUpstream` does. */
export async function pingUpstream(request: UpstreamRequest, deps: ProviderDeps, call: Call): Promise<void> {
  const upstream = upstreamOf(request, deps)
  try {
    const response = await send(request, deps, call)
    if (response.status < 200 || response.status > 299) throw await readProviderError(upstream, response)
    response.content.drain()
  } catch (error) {
    throw toTransportError(upstream, error)
  }
}

function upstreamOf({ url, secrets, headers }: UpstreamRequest, { id }: ProviderDeps): UpstreamIdentity {
  return { id, secrets: [...(secrets ?? []), ...credentialsIn(headers ?? {}), ...credentialsInUrl(url)] }
}

/** The values of headers that carry credentials by their name. */
export function credentialsIn(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => (/auth|key|token|secret|cookie|password|credential/i.test(name) ? [value] : []))
}

function send(request: UpstreamRequest, deps: ProviderDeps, call: Call): Promise<EgressResponse> {
  const { url, method = 'GET', headers, body, network, signal = call.signal } = request
  const isText = typeof body === 'string'
  return deps.egress.request(url, {
    method,
    headers: {
      accept: 'application/json',
      'accept-encoding': acceptEncoding,
      ...(body !== undefined && !isText && { 'content-type': 'application/json' }),
      ...headers,
      // A host that a caller named learns nothing of the trace.
      ...(typeof url === 'string' && call.trace && traceHeaders(call.trace, call.trace.spanId)),
    },
    ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    signal,
    network: {
      ...network,
      firstByteTimeout: Math.min(network?.firstByteTimeout ?? defaultTimeout, defaultTimeout),
      idleTimeout: Math.min(network?.idleTimeout ?? defaultTimeout, defaultTimeout),
    },
  })
}

function parse(bytes: Uint8Array, upstream: UpstreamIdentity): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown
  } catch (error) {
    throw invalidResponse(upstream, 'returned a response that is not JSON', error)
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
