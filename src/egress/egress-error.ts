/** Why there is no complete response. The message contains no host and no URL, so that callers may see it; `cause` contains the host. */
export class EgressError extends Error {
  readonly reason: 'unreachable' | 'timeout' | 'interrupted' | 'tls' | 'invalid_response' | 'too_large'
  /** No connection came about: nothing was sent, and another address may be tried. */
  readonly neverConnected: boolean

  constructor(reason: EgressError['reason'], message: string, cause?: unknown, neverConnected = false) {
    super(message, { cause })
    this.name = 'EgressError'
    this.reason = reason
    this.neverConnected = neverConnected
  }
}

type ErrorExplanation = readonly [reason: EgressError['reason'], message: string]

const refused: ErrorExplanation = ['unreachable', 'the connection was refused']
const unknownHost: ErrorExplanation = ['unreachable', 'the host name could not be resolved']
const noRoute: ErrorExplanation = ['unreachable', 'there is no route to the host']
const timedOut: ErrorExplanation = ['timeout', 'the connection timed out']
const cut: ErrorExplanation = ['interrupted', 'the connection was closed before the response was complete']
/** fetch reports it after about 16 bytes: a shorter text that is not HTTP, on an open connection, looks like the start of a head. */
const notHttp: ErrorExplanation = ['invalid_response', 'the response is not valid HTTP']
const badEncoding: ErrorExplanation = ['invalid_response', 'the response could not be decompressed']

/** What fetch says (Bun's names, Node's where it differs) → what it means. */
const explanations: Readonly<Record<string, ErrorExplanation>> = {
  ECONNREFUSED: refused,
  ConnectionRefused: refused,
  FailedToOpenSocket: refused,
  ENOENT: ['unreachable', 'the Unix socket does not exist'],
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  EAI_NODATA: unknownHost,
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  EADDRNOTAVAIL: noRoute,
  EACCES: ['unreachable', 'the connection is not permitted'],
  EPERM: ['unreachable', 'the connection is not permitted'],
  EMFILE: ['unreachable', 'this server has no free file descriptors'],
  ERR_PROXY_TUNNEL: ['unreachable', 'the tunnel to the host was refused'],
  ETIMEDOUT: timedOut,
  UND_ERR_CONNECT_TIMEOUT: timedOut,
  ECONNRESET: cut,
  ECONNABORTED: cut,
  EPIPE: cut,
  ConnectionClosed: cut,
  UND_ERR_SOCKET: cut,
  EPROTO: ['tls', 'the TLS handshake failed'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls', 'its certificate is for another host name'],
  CERT_HAS_EXPIRED: ['tls', 'its certificate has expired'],
  CERT_NOT_YET_VALID: ['tls', 'its certificate is not valid yet'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['tls', 'its certificate is self-signed; name the CA in network.tls.verify'],
  SELF_SIGNED_CERT_IN_CHAIN: ['tls', 'its certificate chain has a CA that is not trusted; name the CA in network.tls.verify'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls', 'its certificate cannot be verified; name the CA in network.tls.verify'],
  UNABLE_TO_GET_ISSUER_CERT: ['tls', 'its certificate cannot be verified; name the CA in network.tls.verify'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['tls', 'its certificate cannot be verified; name the CA in network.tls.verify'],
}

/** Where a request went; for the log. */
interface RequestRoute {
  host: string
  /** The proxy's host: what cannot be reached is then the proxy, whatever becomes of the request behind it. */
  proxy?: string | undefined
}

/** What fetch, or reading its response, threw. */
export function explain(error: unknown, { host, proxy }: RequestRoute): EgressError {
  if (error instanceof EgressError) return error
  const { code, message } = error instanceof Error ? (error as Error & { code?: unknown }) : { code: undefined, message: String(error) }
  const name = typeof code === 'string' ? code : ''
  const known = Object.hasOwn(explanations, name) ? explanations[name] : undefined
  const [reason, text] = known ?? guess(name)
  // Not the error itself: it carries the whole URL, and a URL may carry a key.
  const cause = new Error(`${name || message} (${proxy === undefined ? host : `${host} by the proxy ${proxy}`})`)
  const clientMessage = proxy !== undefined && reason === 'unreachable' ? `at its proxy, ${text}` : text
  return new EgressError(reason, clientMessage, cause, known === refused || known === noRoute)
}

function guess(code: string): ErrorExplanation {
  if (/CERT|TLS|SSL/i.test(code)) return ['tls', 'its certificate was not accepted']
  // zlib's names for what is wrong with gzip, zstd and brotli.
  if (/^(?:Z|ZSTD|ERR__ERROR|ERR_BROTLI|ERR_ZSTD)_/.test(code)) return badEncoding
  if (/HTTP|Header|Encoding|Chunk|Malformed|InvalidStatus/i.test(code)) return notHttp
  return ['unreachable', 'the request could not be sent']
}
