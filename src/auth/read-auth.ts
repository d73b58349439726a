import { readFileSync } from 'node:fs'
import type {
  AuthConfig,
  AuthenticatorConfig,
  IntrospectionConfig,
  JwksConfig,
  OAuth2Config,
  RemoteConfig,
  UpstreamHeaderConfig,
} from './config.ts'
import { matchesEveryAddress } from './trusted-peers.ts'
import { type AuthenticatorInput, type AuthConfigInput, defaultAudiences } from './schema.ts'

/** What the section depends on besides itself. */
interface ReadAuthOptions {
  /** `server.trusted_proxies`. */
  readonly trustedProxies: readonly string[]
  /** Reads a PEM file by its path as configured; throws where it cannot be read. Default: as a path of the working directory. */
  readonly readFile?: ((path: string) => string) | undefined
}

/** What the schema cannot check, and where: keys and indices from `provider_config` on. */
interface AuthProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** `config` is valid only if there are no problems. */
interface ParsedAuth {
  readonly config: AuthConfig
  readonly problems: readonly AuthProblem[]
}

type AuthenticatorSettings<Type extends AuthenticatorInput['type']> = Extract<AuthenticatorInput, { type: Type }>
type RemoteAuthenticatorSettings = AuthenticatorSettings<'oauth2_token' | 'kubernetes' | 'github_token' | 'custom'>

/** Turns the checked section into what the authenticators take. Reads the files that it names, once. */
export function readAuth(section: AuthConfigInput, options: ReadAuthOptions): ParsedAuth {
  const problems: AuthProblem[] = []
  const isList = Array.isArray(section)
  const authenticators = (isList ? section : [section]).map((one, index) => {
    const report = (key: string, message: string): void => void problems.push({ path: isList ? [index, key] : [key], message })
    return new SectionReader(options, report).read(one)
  })
  return { config: { authenticators }, problems }
}

class SectionReader {
  readonly #surroundings: ReadAuthOptions
  readonly #report: (key: string, message: string) => void

  constructor(options: ReadAuthOptions, report: (key: string, message: string) => void) {
    this.#surroundings = options
    this.#report = report
  }

  read(section: AuthenticatorInput): AuthenticatorConfig {
    switch (section.type) {
      case 'api_key':
        return { type: 'api_key' }
      case 'local_api_key':
        return { type: 'local_api_key', apiKeys: section.api_keys }
      case 'oauth2_token':
        return this.#oauth2(section)
      case 'kubernetes':
        return {
          type: 'kubernetes',
          apiServerUrl: section.api_server_url,
          claimsMapping: section.claims_mapping,
          tenantClaim: section.tenant_claim ?? undefined,
          ...this.#remote(section),
        }
      case 'github_token':
        return {
          type: 'github_token',
          apiBaseUrl: section.github_api_base_url,
          claimsMapping: section.claims_mapping,
          ...this.#remote(section),
        }
      case 'custom': {
        const forwardHeaders = section.forward_headers.map((name) => name.toLowerCase())
        const tenantField = section.tenant_field ?? undefined
        return { type: 'custom', endpoint: section.endpoint, forwardHeaders, tenantField, ...this.#remote(section) }
      }
      default:
        return this.#upstreamHeader(section)
    }
  }

  #oauth2(section: AuthenticatorSettings<'oauth2_token'>): OAuth2Config {
    const audience = typeof section.audience === 'string' ? [section.audience].filter((name) => name !== '') : (section.audience ?? [])
    return {
      type: 'oauth2_token',
      audience: audience.length > 0 ? audience : defaultAudiences,
      audienceConfigured: audience.length > 0,
      issuer: section.issuer || undefined,
      principalClaim: section.principal_claim || undefined,
      claimsMapping: section.claims_mapping,
      tenantClaim: section.tenant_claim ?? undefined,
      clockTolerance: section.clock_tolerance_seconds,
      requireExpiry: section.require_expiry,
      check: checkOf(section),
      ...this.#remote(section),
    }
  }

  #upstreamHeader(section: AuthenticatorSettings<'upstream_header'>): UpstreamHeaderConfig {
    const own = section.trusted_proxy_cidrs
    const trustedProxies = own ?? this.#surroundings.trustedProxies
    if (trustedProxies.length === 0) {
      this.#report(
        'type',
        'upstream_header needs server.trusted_proxies or trusted_proxy_cidrs: without them any caller could claim any identity',
      )
    }
    const attributeHeaders = Object.entries(section.attribute_headers ?? {}).map(([name, attribute]) => [name.toLowerCase(), attribute])
    const principalHeader = section.principal_header.toLowerCase()
    const attributesHeader = section.attributes_header?.toLowerCase()
    const tenantHeader = section.tenant_header?.toLowerCase()
    if (principalHeader === attributesHeader) this.#report('attributes_header', 'must be another header than principal_header')
    if (tenantHeader === principalHeader || (tenantHeader && tenantHeader === attributesHeader)) {
      this.#report('tenant_header', 'must be another header than principal_header and attributes_header')
    }
    const anyAddress = trustedProxies.find(matchesEveryAddress)
    if (anyAddress !== undefined) {
      this.#report(
        own ? 'trusted_proxy_cidrs' : 'type',
        `upstream_header trusts every address in ${own ? 'trusted_proxy_cidrs' : 'server.trusted_proxies'}, and ${anyAddress} is every address there is: list the proxies' own addresses`,
      )
    }
    return {
      type: 'upstream_header',
      principalPrefix: section.principal_prefix ?? '',
      principalHeader,
      attributesHeader,
      attributeHeaders: Object.fromEntries(attributeHeaders) as Record<string, string>,
      tenantHeader,
      trustedProxies,
    }
  }

  #remote(section: RemoteAuthenticatorSettings): RemoteConfig {
    const timeout = section.timeout_seconds * 1000
    const ca = section.tls_cafile ? this.#readFile(section.tls_cafile) : undefined
    return {
      principalPrefix: section.principal_prefix ?? '',
      timeout,
      cache: {
        ttl: section.cache_ttl_seconds * 1000,
        negativeTtl: section.negative_cache_ttl_seconds * 1000,
        maxEntries: section.cache_max_entries,
      },
      lookups: {
        concurrent: section.max_concurrent_lookups,
        queued: section.max_queued_lookups,
        refusalsPerMinute: section.max_refusals_per_minute,
      },
      network: {
        connectTimeout: timeout,
        firstByteTimeout: timeout,
        idleTimeout: timeout,
        tls: { verify: section.verify_tls, ...(ca !== undefined && { ca }) },
      },
    }
  }

  #readFile(path: string): string | undefined {
    const { readFile = (name: string) => readFileSync(name, 'utf8') } = this.#surroundings
    try {
      const pem = readFile(path)
      if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
      this.#report('tls_cafile', 'the file holds no certificate in PEM form')
    } catch (error) {
      this.#report('tls_cafile', `the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown cause'})`)
    }
    return undefined
  }
}

/** The schema has seen to it that there is exactly one. */
function checkOf({ jwks, introspection }: AuthenticatorSettings<'oauth2_token'>): JwksConfig | IntrospectionConfig {
  if (introspection) {
    return {
      kind: 'introspection',
      url: introspection.url,
      clientId: introspection.client_id,
      clientSecret: introspection.client_secret,
      sendSecretInBody: introspection.send_secret_in_body,
    }
  }
  const { uri, token, key_recheck_period, refetch_cooldown_seconds } = jwks as NonNullable<typeof jwks>
  return {
    kind: 'jwks',
    uri,
    token: token ?? undefined,
    recheckPeriod: key_recheck_period * 1000,
    refetchCooldown: refetch_cooldown_seconds * 1000,
  }
}
