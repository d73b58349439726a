import ipaddr from 'ipaddr.js'
import { type IpAddress, embeddedIPv4, unmapped } from './address.ts'

/** Hosts and addresses that the configuration lists. */
export interface HostList {
  readonly isEmpty: boolean
  /** `host` as a URL spells it: lower case, without brackets or a dot at its end. */
  hasHost(host: string, port: number): boolean
  hasAddress(address: IpAddress, port: number): boolean
}

type HostListEntry = { readonly port: number | undefined } & (
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'suffix'; readonly suffix: string }
  | { readonly kind: 'range'; readonly range: [IpAddress, number] }
)

/** Throws TypeError with a text that says what is wrong with the entry. */
export function parseAllowEntry(text: string): HostListEntry {
  const entry = text.trim()
  if (entry.includes('/')) return { kind: 'range', range: parseRange(entry), port: undefined }
  const [, host = '', digits] = /^(.*?)(?::(\d{1,5}))?$/.exec(isBareIPv6(entry) ? `[${entry}]` : entry) ?? []
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port < 1 || port > 65_535)) throw new TypeError(`'${text}' has no valid port`)
  if (host.startsWith('*.')) return { kind: 'suffix', suffix: hostOf(host.slice(1).replace(/^\./, ''), text, '.'), port }
  const bare = hostOf(host, text)
  const address = ipaddr.isValid(bare) ? ipaddr.parse(bare) : undefined
  return address ? { kind: 'range', range: singleAddress(address), port } : { kind: 'host', host: bare, port }
}

/** What is let through although it is not public. */
export function createAllowList(entries: readonly string[]): HostList {
  const parsed = entries.map(parseAllowEntry)
  return {
    isEmpty: parsed.length === 0,
    hasHost: (host, port) =>
      parsed.some((entry) => {
        if (entry.port !== undefined && entry.port !== port) return false
        return entry.kind === 'suffix' ? host.endsWith(entry.suffix) : entry.kind === 'host' && host === entry.host
      }),
    hasAddress(address, port) {
      const plain = unmapped(address)
      return parsed.some(
        (entry) => entry.kind === 'range' && (entry.port === undefined || entry.port === port) && contains(entry.range, plain),
      )
    },
  }
}

/** Matches every host in a deny list. */
export const everyHost = '*'

/** What is refused although it is public or allowed. */
export function createDenyList(entries: readonly string[]): HostList {
  if (entries.includes(everyHost)) return { isEmpty: false, hasHost: () => true, hasAddress: () => true }
  const list = createAllowList(entries)
  return {
    ...list,
    hasAddress(address, port) {
      const embedded = embeddedIPv4(address)
      return list.hasAddress(address, port) || (embedded !== undefined && list.hasAddress(embedded, port))
    },
  }
}

function contains([network, bits]: [IpAddress, number], address: IpAddress): boolean {
  if (network instanceof ipaddr.IPv4) return address instanceof ipaddr.IPv4 && address.match(network, bits)
  return address instanceof ipaddr.IPv6 && address.match(network, bits)
}

function parseRange(text: string): [IpAddress, number] {
  if (!ipaddr.isValidCIDR(text)) throw new TypeError(`'${text}' is not an address range such as 10.0.0.0/8 or fd00::/8`)
  const [network, bits] = ipaddr.parseCIDR(text)
  if (bits === 0) throw new TypeError(`'${text}' matches every address; list specific ranges`)
  return [network, bits]
}

function singleAddress(address: IpAddress): [IpAddress, number] {
  const plain = unmapped(address)
  return [plain, plain instanceof ipaddr.IPv4 ? 32 : 128]
}

function isBareIPv6(text: string): boolean {
  return !text.startsWith('[') && ipaddr.IPv6.isValid(text)
}

/** A host as a URL would spell it. */
function hostOf(host: string, text: string, before = ''): string {
  const shape = /^(?:\[[0-9a-f:.]+\]|[^\s*/?#@:[\]\\%]+)$/i.test(host)
  const url = shape && URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`) : undefined
  if (!url) throw new TypeError(`'${text}' is not a host name, *.suffix, IP address or address range`)
  return before + url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}
