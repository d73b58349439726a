import ipaddr from 'ipaddr.js'

/** An address as it is connected to. Parsed once; what the resolver says is parsed as well, never compared as text. */
export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6

/** Undefined unless it is an IP address in its standard form: dotted decimal, or IPv6 with or without a zone. */
export function parseAddress(text: string): IpAddress | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined
}

/**
 * Public by number, but every cloud machine reaches its platform there: Azure's WireServer, IBM Cloud's private services.
 * (The other clouds' metadata services are link-local, shared or unique-local addresses, which no caller reaches anyway.)
 */
const platformServices: readonly [ipaddr.IPv4, number][] = [
  ['168.63.129.16', 32],
  ['161.26.0.0', 16],
].map(([address, bits]) => [ipaddr.IPv4.parse(address as string), bits as number])

/** All of the public internet's IPv6 addresses; what is special within is known to `range()`. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')
/** Addresses by which a translator reaches IPv4 (RFC 6052). */
const translated = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/**
 * Why an address is not on the public internet, in a word or two (`loopback`, `private` …); undefined where it is. What is not known to be
 * public is not. A translated IPv4 address (`64:ff9b::/96`) is what it is translated to; mapped ones, 6to4 and Teredo are never public.
 */
export function whyNotPublic(address: IpAddress): string | undefined {
  if (address instanceof ipaddr.IPv4) {
    if (platformServices.some((range) => address.match(range))) return 'a cloud platform service'
    const range = address.range()
    return range === 'unicast' ? undefined : toWords(range)
  }
  if (address.match(translated)) {
    const why = whyNotPublic(new ipaddr.IPv4(address.toByteArray().slice(12)))
    return why && `translated, ${why}`
  }
  const range = address.range()
  if (range !== 'unicast') return toWords(range)
  return address.match(globalUnicast) ? undefined : 'not assigned'
}

/** `::ffff:127.0.0.1` is connected to as 127.0.0.1. */
export function unmapped(address: IpAddress): IpAddress {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

const compatible = ipaddr.IPv6.parseCIDR('::/96')
const sixToFour = ipaddr.IPv6.parseCIDR('2002::/16')

/** The IPv4 address that an IPv6 address leads to: translated (RFC 6052), IPv4-compatible (RFC 4291 §2.5.5.1) or 6to4 (RFC 3056). */
export function embeddedIPv4(address: IpAddress): ipaddr.IPv4 | undefined {
  if (address instanceof ipaddr.IPv4) return undefined
  const bytes = address.toByteArray()
  if (address.match(translated) || address.match(compatible)) return new ipaddr.IPv4(bytes.slice(12))
  return address.match(sixToFour) ? new ipaddr.IPv4(bytes.slice(2, 6)) : undefined
}

/** In the form of a URL. */
export function toUrlHost(address: IpAddress): string {
  return address instanceof ipaddr.IPv4 ? address.toString() : `[${address.toString()}]`
}

function toWords(range: string): string {
  return range.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
}
