import { type Address, inUrl, parseAddress } from './address.ts'
import type { CallerUrl } from './caller-url.ts'
import type { EgressRequest, EgressResponse, NetworkOptions } from './egress.ts'
import { defaultConnectTimeout, Exchange } from './exchange.ts'
import { EgressError } from './failure.ts'
import type { Guard } from './guard.ts'
import { proxyFor, type ProxyRules } from './proxies.ts'
import type { TurnBudget } from './turn-budget.ts'

export interface CallersWay {
  readonly guard: Guard
  /** The environment's. */
  readonly proxies: ProxyRules | undefined
  /** Authorities to trust in place of the usual. */
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
  { guard, proxies, ca, budget }: CallersWay,
): Promise<EgressResponse> {
  const { signal } = request
  signal.throwIfAborted()
  const { url } = target
  const proxy = proxyFor(url, request.network?.proxy, proxies)
  const network = timesOf(request.network)
  if (proxy !== undefined) {
    guard.admitByProxy(target)
    const byProxy = { ...request, headers: headersFor(url, request.headers), network }
    return new Exchange(url.href, byProxy, { budget, proxy }).send({ timeout: false, proxy, ...(ca && { tls: { ca } }) })
  }
  const addresses = await guard.admit(target, { signal, patience: network.connectTimeout ?? defaultConnectTimeout })
  const direct = { ...request, headers: headersFor(url, request.headers), network }
  const fetchOptions = { timeout: false, proxy: false, ...tlsFor(url, ca) }
  for (const [at, address] of addresses.entries()) {
    try {
      const shownHost = `${url.host} at ${address.toString()}`
      return await new Exchange(pinned(url, address), direct, { budget, shownHost }).send(fetchOptions)
    } catch (error) {
      const another = at + 1 < addresses.length && error instanceof EgressError && error.neverConnected
      if (!another) throw error
    }
  }
  throw new TypeError('The guard admitted no address.')
}

/** The rest of the options is for the operator's own hosts: authorities, client certificates, sockets. */
function timesOf({ connectTimeout, firstByteTimeout, idleTimeout }: NetworkOptions = {}): NetworkOptions {
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

function pinned({ protocol, port, pathname, search }: URL, address: Address): string {
  return `${protocol}//${inUrl(address)}${port && `:${port}`}${pathname}${search}`
}

function tlsFor({ protocol, hostname }: URL, ca: string | undefined): object {
  if (protocol !== 'https:') return {}
  const serverName = hostname.replace(/\.$/, '')
  const isAddress = parseAddress(serverName.replace(/^\[|\]$/g, '')) !== undefined
  return { tls: { ...(!isAddress && { serverName }), ...(ca && { ca }) } }
}
