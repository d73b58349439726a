import { createAllowList, createDenyList } from './allow-list.ts'
import { requestForCaller } from './caller-request.ts'
import { CallerUrl } from './caller-url.ts'
import type { EgressConfig } from './config.ts'
import type { Egress, NetworkOptions } from './contract.ts'
import { EgressExchange } from './exchange.ts'
import { createGuard } from './guard.ts'
import { proxyFor } from './proxies.ts'
import { type Resolve, systemResolve } from './resolve.ts'
import { TurnBudget } from './turn-budget.ts'
import { DispatchBatch } from './dispatch-batch.ts'

export type { Egress, EgressBody, EgressRequest, EgressResponse, NetworkOptions } from './contract.ts'
export { CallerUrl } from './caller-url.ts'
export { defaultFirstByteTimeout, defaultIdleTimeout } from './exchange.ts'
export { EgressError } from './egress-error.ts'
export { acceptEncoding } from './decompress.ts'

export interface EgressOptions extends Partial<EgressConfig> {
  /** What all bodies share. Default: one of its own. */
  readonly budget?: TurnBudget
  /** For tests: in place of the machine's own resolver. */
  readonly resolve?: Resolve
  /** For tests: authorities (PEM) to trust for callers' hosts, in place of the default ones. */
  readonly callerCa?: string
  /** For tests: this machine's own addresses, in place of its interfaces'. */
  readonly ownAddresses?: () => readonly string[]
}

/** Throws TypeError where `allow` holds something that is neither host, suffix, address nor range. */
export function createEgress(options: EgressOptions = {}): Egress {
  const { allow = [], deny = [], proxies, resolve = systemResolve, budget = new TurnBudget(), ownAddresses, callerCa } = options
  const guard = createGuard({ allow: createAllowList(allow), deny: createDenyList(deny), resolve, ...(ownAddresses && { ownAddresses }) })
  const callerContext = { guard, proxies, ca: callerCa, budget }
  const prepared = new WeakMap<NetworkOptions, object>()
  const dispatchBatch = new DispatchBatch()
  const fetchOptionsOf = (network: NetworkOptions | undefined): object => {
    if (!network) return baseFetchOptions
    let fetchOptions = prepared.get(network)
    if (!fetchOptions) prepared.set(network, (fetchOptions = toFetchOptions(network)))
    return fetchOptions
  }
  const proxyOf = (url: string, network: NetworkOptions | undefined): string | undefined => {
    if ((!proxies && !network?.proxy) || network?.unixSocket !== undefined) return undefined
    const parsed = URL.parse(url)
    return parsed ? proxyFor(parsed, network?.proxy, proxies) : undefined
  }
  const directOptions = { budget }
  return {
    request(url, request) {
      if (url instanceof CallerUrl) return requestForCaller(url, request, callerContext)
      const proxy = proxyOf(url, request.network)
      const fetchOptions = fetchOptionsOf(request.network)
      if (proxy === undefined) return new EgressExchange(url, request, directOptions).send(fetchOptions, dispatchBatch.flushed)
      return new EgressExchange(url, request, { budget, proxy }).send({ ...fetchOptions, proxy }, dispatchBatch.flushed)
    },
  }
}

/** Bun's fetch has a timeout of its own; ours are in `Exchange`. `proxy: false` keeps it from reading HTTP_PROXY and HTTPS_PROXY. */
const baseFetchOptions = { timeout: false, proxy: false }

/** The numbers of TLS itself, which Bun's fetch wants. */
const tlsVersions: Readonly<Record<string, number>> = { TLSv1: 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 }

function toFetchOptions({ tls, unixSocket }: NetworkOptions): object {
  const minVersion = tls?.minVersion === undefined ? undefined : tlsVersions[tls.minVersion]
  if (tls?.minVersion !== undefined && minVersion === undefined) throw new TypeError(`'${tls.minVersion}' is not a version of TLS.`)
  return {
    ...baseFetchOptions,
    ...(unixSocket && { unix: unixSocket }),
    ...(tls && {
      tls: {
        ...(tls.verify !== undefined && { rejectUnauthorized: tls.verify }),
        ...(tls.ca && { ca: tls.ca }),
        ...(tls.cert && { cert: tls.cert, key: tls.key }),
        ...(minVersion !== undefined && { minVersion }),
        ...(tls.ciphers && { ciphers: tls.ciphers }),
      },
    }),
  }
}
