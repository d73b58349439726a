import ipaddr from 'ipaddr.js'
import { BoundedMap } from '../bounded-map.ts'

type ParsedAddress = ipaddr.IPv4 | ipaddr.IPv6

/** Addresses that are remembered: proxies are few. */
const maxCached = 1_000

/**
 * Whether a connection comes from one of the given addresses or CIDRs (`10.0.0.0/8`, `::1`). IPv4 in its IPv6 form (`::ffff:10.0.0.1`) is IPv4.
 * Throws TypeError for what is neither.
 */
export function trustedPeers(ranges: readonly string[]): (address: string | undefined) => boolean {
  const parsed = ranges.map(parseRange)
  const known = new BoundedMap<string, boolean>(maxCached)
  return (text) => {
    if (text === undefined) return false
    let trusted = known.get(text)
    if (trusted === undefined) {
      const address = ipaddr.isValid(text) ? ipaddr.process(text) : undefined
      trusted = address !== undefined && parsed.some((range) => contains(range, address))
      known.set(text, trusted)
    }
    return trusted
  }
}

/** Whether a range holds every address there is of its family: `0.0.0.0/0`, `::/0`. Throws as `trustedPeers`. */
export function matchesEveryAddress(range: string): boolean {
  return parseRange(range)[1] === 0
}

function parseRange(text: string): [ParsedAddress, number] {
  const range = text.trim()
  if (ipaddr.isValidCIDR(range)) return ipaddr.parseCIDR(range)
  if (!ipaddr.isValid(range)) throw new TypeError(`'${text}' is neither an address nor a range of addresses such as 10.0.0.0/8`)
  const address = ipaddr.process(range)
  return [address, address instanceof ipaddr.IPv4 ? 32 : 128]
}

function contains([network, bits]: [ParsedAddress, number], address: ParsedAddress): boolean {
  if (network instanceof ipaddr.IPv4) return address instanceof ipaddr.IPv4 && address.match(network, bits)
  return address instanceof ipaddr.IPv6 && address.match(network, bits)
}
