/** The one way out: every request this server makes to another goes through here. */
export interface Egress {
  /**
   * Sends one request and resolves with the head of its answer. Redirects are not followed.
   * Throws EgressError when there is no answer: refused, unreachable, timed out, TLS failed. An abort of `signal` rejects with its reason.
   */
  request(url: string, options: EgressRequest): Promise<EgressResponse>
}

export interface EgressRequest {
  method: 'GET' | 'POST' | 'DELETE'
  headers: Record<string, string>
  body?: Uint8Array | string
  signal: AbortSignal
  /** Absent: the defaults. */
  network?: NetworkOptions | undefined
}

/** How to reach one upstream. Times in milliseconds. */
export interface NetworkOptions {
  /** To a connection. Default 10 s. */
  connectTimeout?: number
  /** From the request to the head of the answer. Default 600 s. */
  firstByteTimeout?: number
  /** Between two pieces of the answer's body. Default 300 s. */
  idleTimeout?: number
  tls?: { verify?: boolean; ca?: string; cert?: string; key?: string; minVersion?: string; ciphers?: string }
  /** The proxy's URL. */
  proxy?: string
  /** A Unix socket to connect to in place of the URL's host. */
  unixSocket?: string
}

export interface EgressResponse {
  status: number
  headers: Headers
  /** The body, guarded by the idle timeout; errors as EgressError. Null when there is none. */
  body: ReadableStream<Uint8Array> | null
}

/** Why there is no (whole) answer. */
export class EgressError extends Error {
  readonly reason: 'unreachable' | 'timeout' | 'cut' | 'tls' | 'too_large'

  constructor(reason: EgressError['reason'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'EgressError'
    this.reason = reason
  }
}

/** The plain way out, with the operator's own URLs. */
export function createEgress(): Egress {
  return {
    async request(url, { method, headers, body, signal }) {
      try {
        const response = await fetch(url, {
          method,
          headers,
          ...(body !== undefined && { body: body as BodyInit }),
          signal,
          redirect: 'manual',
        })
        return { status: response.status, headers: response.headers, body: response.body }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        throw new EgressError('unreachable', error instanceof Error ? error.message : String(error), error)
      }
    },
  }
}
