import ipaddr from 'ipaddr.js'

/** `10.0.0.0/8`, `fd00::/8`, or one address. Throws TypeError with a text that says what is wrong. */
export function parseAddressRange(text: string): (address: ipaddr.IPv4 | ipaddr.IPv6) => boolean {
  const entry = text.trim()
  const [network, bits] = rangeOf(entry) ?? []
  if (!network || bits === undefined) throw new TypeError(`'${text}' is neither an address nor a range of addresses such as 10.0.0.0/8`)
  if (network instanceof ipaddr.IPv4) return (address) => address instanceof ipaddr.IPv4 && address.match(network, bits)
  return (address) => address instanceof ipaddr.IPv6 && address.match(network, bits)
}

function rangeOf(entry: string): [ipaddr.IPv4 | ipaddr.IPv6, number] | undefined {
  if (entry.includes('/'))
    return ipaddr.isValidCIDR(entry) && isPlain(entry.slice(0, entry.indexOf('/'))) ? ipaddr.parseCIDR(entry) : undefined
  if (!isPlain(entry)) return undefined
  const address = ipaddr.parse(entry)
  return [address, address instanceof ipaddr.IPv4 ? 32 : 128]
}

/** `010.1` and `0x7f000001` are addresses to some programs and other ones to others. */
function isPlain(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)
}
