import { type IpAddress, toUrlHost, parseAddress } from './address.ts'
import type { CallerUrl } from './caller-url.ts'
import type { EgressRequest, EgressResponse, NetworkOptions } from './contract.ts'
import { defaultConnectTimeout, EgressExchange } from './exchange.ts'
import { EgressError } from './egress-error.ts'
import type { Guard } from './guard.ts'
import { proxyFor, type ProxyRules } from './proxies.ts'
import type { TurnBudget } from './turn-budget.ts'

interface CallerRequestContext {
  readonly guard: Guard
  /** The environment's. */
  readonly proxies: ProxyRules | undefined
  /** Authorities to trust in place of the default ones. */
  readonly ca: string | undefined
  readonly budget: TurnBudget
}

/**
 * One request to where a caller wants it: the host is resolved once, judged, and the very address that was judged is connected to. What fetch is
 * given holds no name that it could resolve again; TLS checks the certificate for the name all the same.
 */
export async function requestForCaller(
  target: CallerUrl,
  request: EgressRequest,
  { guard, proxies, ca, budget }: CallerRequestContext,
): Promise<EgressResponse> {
  const { signal } = request
  signal.throwIfAborted()
  const { url } = target
  const proxy = proxyFor(url, request.network?.proxy, proxies)
  const network = timeoutsOf(request.network)
  if (proxy !== undefined) {
    guard.admitByProxy(target)
    const proxied = { ...request, headers: headersFor(url, request.headers), network }
    return new EgressExchange(url.href, proxied, { budget, proxy }).send({ timeout: false, proxy, ...(ca && { tls: { ca } }) })
  }
  const addresses = await guard.admit(target, { signal, timeout: network.connectTimeout ?? defaultConnectTimeout })
  const direct = { ...request, headers: headersFor(url, request.headers), network }
  const fetchOptions = { timeout: false, proxy: false, ...tlsFor(url, ca) }
  for (const [at, address] of addresses.entries()) {
    try {
      const shownHost = `${url.host} at ${address.toString()}`
      return await new EgressExchange(pinned(url, address), direct, { budget, shownHost }).send(fetchOptions)
    } catch (error) {
      const hasAnother = at + 1 < addresses.length && error instanceof EgressError && error.neverConnected
      if (!hasAnother) throw error
    }
  }
  throw new TypeError('The guard admitted no address.')
}

/** The rest of the options is for the operator's own hosts: authorities, client certificates, sockets. */
function timeoutsOf({ connectTimeout, firstByteTimeout, idleTimeout }: NetworkOptions = {}): NetworkOptions {
  return {
    ...(connectTimeout !== undefined && { connectTimeout }),
    ...(firstByteTimeout !== undefined && { firstByteTimeout }),
    ...(idleTimeout !== undefined && { idleTimeout }),
  }
}

/** The host that was judged is the host that is named. */
function headersFor({ host }: URL, headers: Readonly<Record<string, string>>): Record<string, string> {
  const others = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'host')
  return { ...Object.fromEntries(others), host }
}

function pinned({ protocol, port, pathname, search }: URL, address: IpAddress): string {
  return `${protocol}//${toUrlHost(address)}${port && `:${port}`}${pathname}${search}`
}

function tlsFor({ protocol, hostname }: URL, ca: string | undefined): object {
  if (protocol !== 'https:') return {}
  const serverName = hostname.replace(/\.$/, '')
  const isAddress = parseAddress(serverName.replace(/^\[|\]$/g, '')) !== undefined
  return { tls: { ...(!isAddress && { serverName }), ...(ca && { ca }) } }
}
