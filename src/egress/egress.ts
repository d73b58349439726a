import { Exchange } from './exchange.ts'

export { defaultFirstByteTimeout } from './exchange.ts'
export { EgressError } from './failure.ts'
export { acceptEncoding } from './unpack.ts'

/** The one way out: every request this server makes to another goes through here. */
export interface Egress {
  /**
   * Sends one request and resolves with the head of its answer. Redirects are not followed. Connections are kept and used again.
   * Throws EgressError when there is no answer: refused, unreachable, timed out, TLS failed. An abort of `signal` rejects with its reason.
   */
  request(url: string, options: EgressRequest): Promise<EgressResponse>
}

export interface EgressRequest {
  method: 'GET' | 'POST' | 'DELETE'
  headers: Record<string, string>
  body?: Uint8Array | string
  /** Ends the request at any time, the reading of its answer included. */
  signal: AbortSignal
  /** Absent: the defaults. Treated as unchanging: hand in the same object every time. */
  network?: NetworkOptions | undefined
}

/** How to reach one upstream. Times in milliseconds. */
export interface NetworkOptions {
  /** To a connection. Default 10 s. */
  connectTimeout?: number
  /** From the request to the head of the answer; in a stream also from one frame to the next, whatever comments come between. Default 600 s. */
  firstByteTimeout?: number
  /** Between two pieces of the answer's body, while somebody wants to read them. Noticed up to a quarter late. Default 300 s. */
  idleTimeout?: number
  /** PEM texts; `minVersion` as `TLSv1.3`; `ciphers` as OpenSSL's list. */
  tls?: { verify?: boolean; ca?: string; cert?: string; key?: string; minVersion?: string; ciphers?: string }
  /** The proxy's URL. */
  proxy?: string
  /** A Unix socket to connect to in place of the URL's host. */
  unixSocket?: string
}

export interface EgressResponse {
  readonly status: number
  readonly headers: Headers
  /** The body. Whoever gets an answer must read it to its end or cancel it: the connection hangs on it. */
  readonly content: EgressBody
  /** The same body as a stream, for those who need one; guarded alike. */
  readonly body: ReadableStream<Uint8Array>
}

/** Every failure here is an EgressError, or the reason of the request's signal. */
export interface EgressBody {
  /**
   * All pieces that have arrived, at least one; undefined at the end. What an upstream sends in the same moment in which it breaks off is mostly lost:
   * fetch tells of the break instead.
   */
  read(): Promise<readonly Uint8Array[] | undefined>
  /** The whole body; fails as `too_large` beyond `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>
  /** Wants no more of it: closes the connection at once. A read that waits ends as if the body did. */
  cancel(): void
  /** Wants no more of it, and expects it to end soon: reads on for a moment in the background so that the connection can be used again. */
  drain(): void
}

/** The plain way out, with the operator's own URLs. */
export function createEgress(): Egress {
  const prepared = new WeakMap<NetworkOptions, object>()
  const fetchOptionsOf = (network: NetworkOptions | undefined): object => {
    if (!network) return plain
    let options = prepared.get(network)
    if (!options) prepared.set(network, (options = toFetchOptions(network)))
    return options
  }
  return {
    // The guard for URLs that callers bring belongs here, before anything is sent.
    request: (url, request) => new Exchange(url, request).send(fetchOptionsOf(request.network)),
  }
}

/** Bun's fetch has a timeout of its own; ours are in `Exchange`. */
const plain = { timeout: false }

/** The numbers of TLS itself, which Bun's fetch wants. */
const tlsVersions: Readonly<Record<string, number>> = { TLSv1: 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 }

function toFetchOptions({ tls, proxy, unixSocket }: NetworkOptions): object {
  const minVersion = tls?.minVersion === undefined ? undefined : tlsVersions[tls.minVersion]
  if (tls?.minVersion !== undefined && minVersion === undefined) throw new TypeError(`'${tls.minVersion}' is not a version of TLS.`)
  return {
    ...plain,
    ...(proxy && { proxy }),
    ...(unixSocket && { unix: unixSocket }),
    ...(tls && {
      tls: {
        ...(tls.verify !== undefined && { rejectUnauthorized: tls.verify }),
        ...(tls.ca && { ca: tls.ca }),
        ...(tls.cert && { cert: tls.cert, key: tls.key }),
        ...(minVersion !== undefined && { minVersion }),
        ...(tls.ciphers && { ciphers: tls.ciphers }),
      },
    }),
  }
}
