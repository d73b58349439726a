/** The one place that starts a listener. */
export interface ListenOptions {
  /** 0 takes a free one. */
  port: number
  hostname: string
  fetch(request: Request): Promise<Response>
  /** PEM texts. With `clientCa`, only clients that show a certificate signed by it are served. */
  tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined } | undefined
  /** Lets several processes listen on the port; the kernel spreads the connections (Linux). */
  sharePort?: boolean
}

export interface Listener {
  readonly url: URL
  readonly port: number
  /** Requests whose answers are not sent whole. */
  readonly running: number
  /** Takes no new connections, closes the idle ones, and resolves once nothing runs. */
  finish(): Promise<void>
  /** Closes everything at once. */
  stop(): Promise<void>
}

/** Seconds that a kept-alive connection may idle: longer than the usual minute of load balancers, which would otherwise race us. */
const idleTimeout = 120

/** Bodies are limited where the route is known, with an answer that says so; this bounds nothing sooner. */
const maxRequestBodySize = 2 ** 40

/** Starts to listen. Throws an Error with `code`: EADDRINUSE, EADDRNOTAVAIL, EACCES, or OpenSSL's for certificates. */
export function listen(options: ListenOptions): Listener {
  const { tls } = options
  const server = Bun.serve({
    port: options.port,
    hostname: options.hostname,
    reusePort: options.sharePort ?? false,
    idleTimeout,
    maxRequestBodySize,
    development: false,
    fetch(request, bun) {
      // A model may think for minutes before it says the first word.
      bun.timeout(request, 0)
      return options.fetch(request)
    },
    ...(tls && {
      tls: { cert: tls.cert, key: tls.key, ...(tls.clientCa && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }) },
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
