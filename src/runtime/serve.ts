/** The one place that starts a listener. */
export interface HttpListenOptions {
  /** 0 takes a free one. */
  port: number
  hostname: string
  fetch(request: Request, connections: HttpConnections): Promise<Response>
  /** PEM texts. With `clientCa`, only clients that show a certificate signed by it are served. `ciphers`: OpenSSL's list, for TLS 1.2. */
  tls?:
    | { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined; readonly ciphers?: string | undefined }
    | undefined
  /** Lets several processes listen on the port; the kernel spreads the connections (Linux). */
  sharePort?: boolean
}

interface HttpConnections {
  /** Its request is over: the connection is closed where no other comes within four minutes. Until that is said, it is kept. */
  mayIdle(request: Request): void
  /** Its response has ended unread: the connection is closed within seconds, with what is still to be sent on it. */
  closeUnread(request: Request): void
  /** The IP address of who is at the other end; undefined for a Unix socket. */
  addressOf(request: Request): string | undefined
}

export interface HttpListener {
  readonly url: URL
  readonly port: number
  /** Requests whose responses are not completely sent. */
  readonly running: number
  /** Takes no new connections, closes the idle ones, and resolves once nothing runs. */
  finish(): Promise<void>
  /** Closes everything at once. */
  stop(): Promise<void>
}

/** Seconds that a kept-alive connection may idle: longer than the minute that is the default of load balancers, so that they close first. */
const idleTimeout = 120

/**
 * Seconds after a response, the maximum of Bun. It counts from when the response is complete, not from when it has been read (what the
 * socket's buffers do not hold of a large one is cut off then), so it must not be shorter.
 */
const respondedTimeout = 255

/** Seconds that an ended response may go on without its caller reading. */
const unreadTimeout = 4

/** Bodies are limited where the route is known, with a proper error; this limit is never reached before. */
const maxRequestBodySize = 2 ** 40

/** Starts to listen. Throws an Error with `code`: EADDRINUSE, EADDRNOTAVAIL, EACCES, or OpenSSL's for certificates. */
export function listen(options: HttpListenOptions): HttpListener {
  const { tls } = options
  const connections: HttpConnections = {
    mayIdle: (request) => server.timeout(request, respondedTimeout),
    closeUnread: (request) => server.timeout(request, unreadTimeout),
    addressOf: (request) => server.requestIP(request)?.address,
  }
  const server = Bun.serve({
    port: options.port,
    hostname: options.hostname,
    reusePort: options.sharePort ?? false,
    idleTimeout,
    maxRequestBodySize,
    development: false,
    fetch(request, bun) {
      // A model may think for minutes before it says the first word. This holds for the connection, not just for the request.
      bun.timeout(request, 0)
      return options.fetch(request, connections)
    },
    ...(tls && {
      tls: {
        cert: tls.cert,
        key: tls.key,
        ...(tls.clientCa && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
        ...(tls.ciphers && { ciphers: tls.ciphers }),
      },
    }),
  })
  return {
    url: server.url,
    port: server.port ?? options.port,
    get running() {
      return server.pendingRequests
    },
    finish: () => server.stop(false),
    stop: () => server.stop(true),
  }
}
