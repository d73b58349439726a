import type { Call } from '../../call.ts'
import { ApiError } from '../../errors.ts'
import { EgressError, type NetworkOptions } from '../../egress/egress.ts'
import type { ProviderDeps } from '../provider.ts'

/** One request for one JSON document, beside the relay: listings, reranking, tokens. */
export interface Question {
  /** Absolute. */
  url: string
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

/** Asks and answers with the parsed document. Throws ApiError: the provider's own error with its status, 502 or 504 when there is no answer. */
export async function askUpstream(question: Question, deps: ProviderDeps, call: Call): Promise<unknown> {
  const { url, method = 'GET', headers, body, network, signal = call.signal } = question
  const isText = typeof body === 'string'
  try {
    const response = await deps.egress.request(url, {
      method,
      headers: { accept: 'application/json', ...(body !== undefined && !isText && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
      signal,
      network,
    })
    const answer = await new Response(response.body).text()
    if (response.status !== 200) throw new ApiError('upstream_error', answer.slice(0, 500), { status: response.status })
    return JSON.parse(answer)
  } catch (error) {
    if (error instanceof EgressError)
      throw new ApiError('upstream_error', error.message, { status: error.reason === 'timeout' ? 504 : 502, cause: error })
    throw error
  }
}

export async function reachUpstream(question: Question, deps: ProviderDeps, call: Call): Promise<void> {
  await askUpstream(question, deps, call)
}
