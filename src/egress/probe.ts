import { connect, type NetConnectOpts } from 'node:net'
import type { NetworkOptions } from './egress.ts'

/** Where a connection to `url` goes first: the Unix socket, the proxy, or the URL's own host. */
export function firstHop(url: string, network: NetworkOptions | undefined): NetConnectOpts {
  if (network?.unixSocket) return { path: network.unixSocket }
  const { hostname, port, protocol } = new URL(network?.proxy ?? url)
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
