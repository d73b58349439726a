import { trustedPeers } from '../../auth/trusted-peers.ts'
import { type IpAddress, parseAddress, unmapped } from '../../egress/address.ts'
import type { ClientAddressResolver } from './context.ts'
import type { Middleware } from './middleware.ts'

/** Addresses of proxies that are examined of one request; further ones are ignored. */
const maxHops = 32

/**
 * Lets `context.clientAddress` be what trusted proxies say (`x-forwarded-for`, or `forwarded`, RFC 7239): the last address on the way here
 * that is not a trusted proxy's own. `trusted` are ranges of addresses. Undefined where no proxy is trusted: then it is the connection's.
 */
export function clientAddress(trusted: readonly string[]): Middleware | undefined {
  if (trusted.length === 0) return undefined
  const addressOf = createClientAddressResolver(trusted)
  return (request, context, next) => {
    context.resolveClientAddress = addressOf
    return next(request, context)
  }
}

export function createClientAddressResolver(trusted: readonly string[]): ClientAddressResolver {
  const isTrusted = trustedPeers(trusted)
  return (headers, peerAddress) => {
    const peer = read(peerAddress)
    if (!peer || !isTrusted(peerAddress)) return peerAddress
    const forwardedFor = headers.get('x-forwarded-for')
    const forwarded = headers.get('forwarded')
    const first = forwardedFor === null ? undefined : nearestUntrusted(forwardedFor.split(','), peer, isTrusted)
    const second = forwarded === null ? undefined : nearestUntrusted(hopsOf(forwarded), peer, isTrusted)
    // A proxy that writes one of the headers passes the other on as the caller wrote it. Which one is the caller's cannot be known.
    if (first !== undefined && second !== undefined && first !== second) return peer.toString()
    return first ?? second ?? peer.toString()
  }
}

type IsTrusted = ReturnType<typeof trustedPeers>

/** Goes back from the peer as long as the hop that named the address is trusted. Ends at text that is not an address. */
function nearestUntrusted(hops: readonly string[], peer: IpAddress, isTrusted: IsTrusted): string {
  let nearest = peer
  for (const hop of hops.slice(-maxHops).toReversed()) {
    const address = read(hop)
    if (!address) break
    nearest = address
    if (!isTrusted(nearest.toString())) break
  }
  return nearest.toString()
}

/** The `for` of each element: `for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`. */
function hopsOf(forwarded: string): string[] {
  // Neither an address nor a port has a comma, a semicolon or an escape: text that has one is not an address.
  return forwarded.split(',').map((element) => {
    const pair = element.split(';').find((text) => text.slice(0, text.indexOf('=')).trim().toLowerCase() === 'for')
    if (pair === undefined) return ''
    const value = pair.slice(pair.indexOf('=') + 1).trim()
    return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
  })
}

/** An address with or without port, brackets and zone. */
function read(text: string): IpAddress | undefined {
  const trimmed = text.trim()
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(trimmed)?.[1] ?? trimmed
  const address = parseAddress(bare.replace(/%[\w.-]+$/, ''))
  return address && unmapped(address)
}
