import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { NetworkOptions } from '../egress/egress.ts'
import type { ProxyRules } from '../egress/proxies.ts'
import { Secret } from '../secret.ts'
import { flag, httpUrl } from './config-values.ts'

const seconds = z.number().positive()
const headerName = /^[!#$%&'*+.^_`|~\w-]+$/
const headerValue = /^[\u0020-\u007e\u00a0-\u00ff]*$/

/** How a provider is reached: Llama Stack's `network:`. Times in seconds, files as paths of PEM files. */
export const networkConfig = z.strictObject({
  tls: z
    .strictObject({
      verify: z.union([flag(), z.string()]).nullish().describe('false trusts any certificate; a path names the CA to trust.'),
      min_version: z.enum(['TLSv1.2', 'TLSv1.3']).nullish(),
      ciphers: z.array(z.string()).nullish(),
      client_cert: z.string().nullish().describe('PEM file of the client certificate; needs client_key.'),
      client_key: z.string().nullish().describe('PEM file of the key of client_cert.'),
    })
    .refine((tls) => Boolean(tls.client_cert) === Boolean(tls.client_key), 'client_cert and client_key go together')
    .nullish(),
  proxy: z
    .strictObject({
      url: httpUrl().nullish().describe('For every request.'),
      http: httpUrl().nullish().describe('For http:// providers.'),
      https: httpUrl().nullish().describe('For https:// providers.'),
      cacert: z.string().nullish().describe("PEM file of the proxy's CA."),
      no_proxy: z.array(z.string()).nullish().describe('Hosts reached directly; a leading dot or a bare domain covers its subdomains.'),
    })
    .nullish(),
  timeout: z
    .union([
      seconds,
      z.strictObject({
        connect: seconds.nullish().describe('To a connection. Default 10.'),
        read: seconds.nullish().describe('Sets first_byte and idle together.'),
        first_byte: seconds
          .nullish()
          .describe('To the response headers; in a stream also from one frame to the next, comments aside. Default 600.'),
        idle: seconds
          .nullish()
          .describe('Between two pieces of the response; also how long a caller may leave its stream unread. Default 300.'),
      }),
    ])
    .nullish()
    .describe('Seconds: one number for connect, first byte and idle, or each by itself.'),
  headers: z
    .record(z.string().regex(headerName), z.string().regex(headerValue))
    .nullish()
    .describe('Extra headers on every request to this provider.'),
})
type NetworkConfig = z.output<typeof networkConfig>

/** What older files say beside `network:`. */
interface LegacyNetworkKeys {
  tls_verify?: boolean | string | null | undefined
  /** Seconds. */
  timeout?: number | null | undefined
}

/**
 * The configuration as the egress function takes it. Reads the PEM files it names.
 * Throws when one of them cannot be read.
 */
export function toNetworkOptions(network: NetworkConfig | null | undefined, legacy: LegacyNetworkKeys): NetworkOptions {
  const options: NetworkOptions = { ...timeouts(network?.timeout ?? legacy.timeout) }
  const verify = network?.tls?.verify ?? legacy.tls_verify ?? undefined
  const { min_version, ciphers, client_cert, client_key } = network?.tls ?? {}
  const cas = [typeof verify === 'string' ? verify : undefined, network?.proxy?.cacert].flatMap((path) => (path ? [readPem(path)] : []))
  const tls: NonNullable<NetworkOptions['tls']> = {
    ...(typeof verify === 'boolean' && { verify }),
    ...(cas.length > 0 && { ca: cas.join('\n') }),
    ...(client_cert && client_key && { cert: readPem(client_cert), key: readPem(client_key) }),
    ...(min_version && { minVersion: min_version }),
    ...(ciphers && ciphers.length > 0 && { ciphers: ciphers.join(':') }),
  }
  if (Object.keys(tls).length > 0) options.tls = tls
  if (network?.proxy) options.proxy = proxyRules(network.proxy)
  return options
}

/** `network.headers`, its names in lower case, so that each name occurs in one spelling. */
export function extraHeaders(network: NetworkConfig | null | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(network?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
}

/** Network options without what is meant for the operator's own host alone: its CA, its client certificate, its trust in any certificate. */
export function forCallerSuppliedHost(options: NetworkOptions): NetworkOptions {
  const { tls: _, ...rest } = options
  return rest
}

function timeouts(timeout: NetworkConfig['timeout']): NetworkOptions {
  if (timeout === null || timeout === undefined) return {}
  const each = typeof timeout === 'number' ? { connect: timeout, read: timeout } : timeout
  const { connect, read } = each
  const firstByte = ('first_byte' in each ? each.first_byte : undefined) ?? read
  const idle = ('idle' in each ? each.idle : undefined) ?? read
  return {
    ...(connect && { connectTimeout: connect * 1000 }),
    ...(firstByte && { firstByteTimeout: firstByte * 1000 }),
    ...(idle && { idleTimeout: idle * 1000 }),
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Cannot read the file '${path}' that is named in the provider's network settings.`, { cause: error })
  }
}

function proxyRules({ url, http, https, no_proxy }: NonNullable<NetworkConfig['proxy']>): ProxyRules {
  const [forHttp, forHttps] = [http ?? url, https ?? url]
  return {
    ...(forHttp && { http: new Secret(forHttp) }),
    ...(forHttps && { https: new Secret(forHttps) }),
    ...(no_proxy && { none: no_proxy.join(',') }),
  }
}
