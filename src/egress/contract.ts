import type { AbortListenable } from '../call.ts'
import type { CallerUrl } from './caller-url.ts'
import type { ProxyRules } from './proxies.ts'

/** Every outgoing request of this server goes through here. */
export interface Egress {
  /**
   * Sends one request and resolves with the head of its response. Redirects are not followed. Connections are reused.
   * A text is a URL of the operator's, trusted as it is configured; a CallerUrl goes only where callers may send this server, without anything that
   * is meant for the operator's hosts: no client certificate, no private authority, no Unix socket.
   * Throws EgressError when there is no response: refused, unreachable, timed out, TLS failed; ApiError 400 (`url_not_allowed`) where a caller's URL
   * may not be gone to. An abort of `signal` rejects with its reason.
   */
  request(url: string | CallerUrl, options: EgressRequest): Promise<EgressResponse>
}

export interface EgressRequest {
  method: 'GET' | 'POST' | 'DELETE'
  headers: Record<string, string>
  /** Bytes are not copied: they must not be changed until the response head has arrived or the request has failed. */
  body?: Uint8Array | string
  /** Aborts the request at any time, also while its response is read. */
  signal: AbortListenable
  /** Absent: the defaults. Treated as unchanging: hand in the same object every time. */
  network?: NetworkOptions | undefined
}

/** How to reach one upstream. Times in milliseconds. */
export interface NetworkOptions {
  /** To a connection. Default 10 s. */
  connectTimeout?: number
  /** From the request to the response head; in a stream also from one frame to the next, comments aside. Default 600 s. */
  firstByteTimeout?: number
  /** Between two pieces of the response body, while they are being read. Detected up to a quarter late. Default 300 s. */
  idleTimeout?: number
  /** PEM texts; `minVersion` as `TLSv1.3`; `ciphers` as OpenSSL's list. */
  tls?: { verify?: boolean; ca?: string; cert?: string; key?: string; minVersion?: string; ciphers?: string }
  /** These count before the environment's. */
  proxy?: ProxyRules
  /** A Unix socket to connect to in place of the URL's host. */
  unixSocket?: string
}

export interface EgressResponse {
  readonly status: number
  readonly headers: Headers
  /** The body. It must be read to its end or cancelled: it holds the connection. */
  readonly content: EgressBody
  /** The same body as a stream, for those who need one; guarded alike. */
  readonly body: ReadableStream<Uint8Array>
}

/** Every failure here is an EgressError, or the reason of the request's signal. */
export interface EgressBody {
  /**
   * Pieces that have arrived, at least one and at most 16 kB in all; undefined at the end. Waits for a later turn of the event loop where the bodies of the
   * process have had their share of this one. What an upstream sends in the same moment in which it breaks off is mostly lost:
   * fetch reports the interruption instead.
   */
  read(): Promise<readonly Uint8Array[] | undefined>
  /** The whole body; fails as `too_large` beyond `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>
  /** Wants no more of it: closes the connection at once. A read that waits ends as if the body did. */
  cancel(): void
  /** Wants no more of it, and expects it to end soon: reads on for a moment in the background so that the connection can be used again. */
  drain(): void
}
