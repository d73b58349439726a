import { connect, isIP, type NetConnectOpts } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Where a connection to `url` goes first: the Unix socket, the proxy, or the URL's own host. */
export function firstHop(url: string, via: { unixSocket?: string | undefined; proxy?: string | undefined }): NetConnectOpts {
  if (via.unixSocket) return { path: via.unixSocket }
  const { hostname, port, protocol } = new URL(via.proxy ?? url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80) }
}

/** Opens a TCP connection and closes it: whether that works within `milliseconds`. */
export function canConnect(hop: NetConnectOpts, milliseconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(hop)
  const settle = (works: boolean): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve(works)
  }
  const timer = setTimeout(settle, milliseconds, false)
  socket.once('connect', () => settle(true))
  // The request itself says why; here it is only that it does not work.
  socket.on('error', () => settle(false))
  return promise
}

/** Why the TLS handshake fails or the certificate is not trusted; undefined: neither. */
export function tlsError({ host, port }: { host: string; port: number }, milliseconds: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const socket = connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }) })
  const settle = (error: string | undefined): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve(error)
  }
  const timer = setTimeout(settle, milliseconds, 'no response to the handshake')
  socket.once('secureConnect', () => settle(undefined))
  socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message))
  socket.once('close', () => settle('the connection was closed'))
  return promise
}
