import { Secret } from '../secret.ts'

/** `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. Proxies' URLs may carry passwords. */
export interface EnvironmentProxies {
  readonly http?: Secret | undefined
  readonly https?: Secret | undefined
  /** Host names with all below them, `*` for every host; separated by commas, each with a port or without. */
  readonly none?: string | undefined
}

/** The proxies that an environment names, lower-case names first, as fetch itself reads them; undefined without any. */
export function readProxies(env: Readonly<Record<string, string | undefined>>): EnvironmentProxies | undefined {
  const read = (name: string): string | undefined => env[name.toLowerCase()]?.trim() || env[name]?.trim() || undefined
  const [http, https, none] = [read('HTTP_PROXY'), read('HTTPS_PROXY'), read('NO_PROXY')]
  if (!http && !https) return undefined
  return { ...(http && { http: new Secret(http) }), ...(https && { https: new Secret(https) }), ...(none && { none }) }
}

/** The proxy for a URL that a caller chose, undefined where it is reached directly. */
export function proxyFromEnvironment({ protocol, hostname, port }: URL, proxies: EnvironmentProxies | undefined): string | undefined {
  const proxy = protocol === 'https:' ? proxies?.https : proxies?.http
  if (!proxy) return undefined
  const host = hostname.replace(/\.$/, '')
  const at = port || (protocol === 'https:' ? '443' : '80')
  const direct = (proxies?.none ?? '').split(',').some((text) => {
    const entry = text.trim().toLowerCase()
    if (entry === '*') return true
    const [, name = '', only] = /^\*?\.?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? []
    return name !== '' && (only === undefined || only === at) && (host === name || host.endsWith(`.${name}`))
  })
  return direct ? undefined : proxy.reveal()
}
