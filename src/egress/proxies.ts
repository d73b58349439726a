import { parseAddress, unmapped } from './address.ts'
import { Secret } from '../secret.ts'

/** Proxies by the scheme of the URL that is requested. Their URLs may carry passwords. */
export interface ProxyRules {
  readonly http?: Secret | undefined
  readonly https?: Secret | undefined
  /** Hosts reached directly: names with all below them, addresses, `*` for every host; separated by commas, each with a port or without. */
  readonly none?: string | undefined
}

/** The proxies that an environment names (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), lower-case names first; undefined without any. */
export function readProxies(env: Readonly<Record<string, string | undefined>>): ProxyRules | undefined {
  const read = (name: string): string | undefined => env[name.toLowerCase()]?.trim() || env[name]?.trim() || undefined
  const [http, https, none] = [read('HTTP_PROXY'), read('HTTPS_PROXY'), read('NO_PROXY')]
  if (!http && !https) return undefined
  return { ...(http && { http: secretUrl(http) }), ...(https && { https: secretUrl(https) }), ...(none && { none }) }
}

/** `HTTP_PROXY=proxy:3128` is common. */
function secretUrl(text: string): Secret {
  return new Secret(text.includes('://') ? text : `http://${text}`)
}

/**
 * The URL of the proxy for a request, undefined where the host is reached directly. The provider's own rules take precedence; where they
 * neither name a proxy for the scheme nor except the host, the environment's rules do.
 */
export function proxyFor(url: URL, own: ProxyRules | undefined, environment: ProxyRules | undefined): string | undefined {
  if (own && isExcepted(url, own.none)) return undefined
  return proxyOfScheme(url, own) ?? proxyFromEnvironment(url, environment)
}

/** Loopback is never reached by a proxy of the environment, even if NO_PROXY does not list it: a proxy elsewhere has another loopback. */
export function proxyFromEnvironment(url: URL, proxies: ProxyRules | undefined): string | undefined {
  if (!proxies || isThisMachine(url) || isExcepted(url, proxies.none)) return undefined
  return proxyOfScheme(url, proxies)
}

function proxyOfScheme({ protocol }: URL, proxies: ProxyRules | undefined): string | undefined {
  return (protocol === 'https:' ? proxies?.https : proxies?.http)?.reveal()
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, '')
}

function isThisMachine(url: URL): boolean {
  const host = hostOf(url)
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  const address = parseAddress(host.replace(/^\[|\]$/g, ''))
  return address !== undefined && unmapped(address).range() === 'loopback'
}

function isExcepted(url: URL, none: string | undefined): boolean {
  if (none === undefined) return false
  const host = hostOf(url)
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return none.split(',').some((text) => {
    const entry = text.trim().toLowerCase()
    if (entry === '*') return true
    const [, name = '', only] = /^\*?\.?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(bracketed(entry)) ?? []
    return name !== '' && (only === undefined || only === port) && (host === name || host.endsWith(`.${name}`))
  })
}

/** An IPv6 address as URLs have it. */
function bracketed(entry: string): string {
  return entry.includes(':') && parseAddress(entry) ? `[${entry}]` : entry
}
