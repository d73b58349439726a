import { EgressError, type Egress, type EgressRequest, type NetworkOptions } from '../egress/egress.ts'
import { ApiError, maxRetryWait } from '../errors.ts'
import type { Events } from '../telemetry/events.ts'
import { serviceTimeout, serviceUnavailable } from './refusal.ts'

interface IdentityServiceOptions {
  readonly egress: Pick<Egress, 'request'>
  readonly events: Pick<Events, 'dependencyFailed' | 'dependencyRecovered'>
  readonly network: NetworkOptions
  /** Milliseconds for a complete response. */
  readonly timeout: number
  /** The authenticator's type, for the log. */
  readonly type: string
}

export interface ServiceResponse {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
}

/** Bytes of a response. */
const maxResponseBytes = 1_048_576

/**
 * An identity service. Its failures (unavailable, slow, overloaded, invalid response) are ApiError 503, never a refusal of the credential, and are
 * logged once until it is back.
 */
export class IdentityService {
  readonly #options: IdentityServiceOptions

  constructor(options: IdentityServiceOptions) {
    this.#options = options
  }

  /** Any response but 429 and 5xx. Redirects are not followed. Throws ApiError 503. */
  async send(url: string, { method, headers, body }: Pick<EgressRequest, 'method' | 'headers' | 'body'>): Promise<ServiceResponse> {
    const { egress, network, timeout } = this.#options
    const signal = AbortSignal.timeout(timeout)
    try {
      const response = await egress.request(url, {
        method,
        headers: { 'user-agent': 'corral', ...headers },
        ...(body !== undefined && { body }),
        signal,
        network,
      })
      const bytes = await response.content.bytes(maxResponseBytes)
      if (response.status === 429 || response.status >= 500) throw this.overloaded(url, response.status, response.headers)
      return { status: response.status, headers: response.headers, bytes }
    } catch (error) {
      if (error instanceof ApiError) throw error
      if (signal.aborted) throw this.#failed(url, new Error(`no complete response within ${timeout / 1000} s`), true)
      // Whatever else this is, it holds nothing of the question but the host.
      throw this.#failed(url, error, error instanceof EgressError && error.reason === 'timeout')
    }
  }

  /** Its response was valid. */
  reportSuccess(url: string): void {
    this.#options.events.dependencyRecovered(this.#nameOf(url))
  }

  /** The error for an invalid response, or one that denies us access; `why` is for the log. */
  invalidResponse(url: string, why: string): ApiError {
    return this.#failed(url, new Error(why), false)
  }

  /** The error for a response that says nothing about the credential: 429 or an error of the service. */
  overloaded(url: string, status: number, headers: Headers): ApiError {
    const cause = new Error(`it responded with status ${status}`)
    this.#options.events.dependencyFailed(this.#nameOf(url), cause)
    const wait = Number(headers.get('retry-after') ?? NaN)
    return Number.isInteger(wait) && wait > 0 ? serviceUnavailable(cause, Math.min(wait, maxRetryWait)) : serviceUnavailable(cause)
  }

  #failed(url: string, cause: unknown, timedOut: boolean): ApiError {
    this.#options.events.dependencyFailed(this.#nameOf(url), cause)
    return timedOut ? serviceTimeout(cause) : serviceUnavailable(cause)
  }

  #nameOf(url: string): string {
    return `identity service ${hostOf(url)} (${this.#options.type})`
  }
}

/** Host and port, as messages may name them; never the path or the query. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'without a valid URL'
}

/** The response as a JSON object; undefined if it is not one. */
export function jsonObjectOf({ bytes }: Pick<ServiceResponse, 'bytes'>): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    // The parser's message quotes what it met.
    return undefined
  }
}
