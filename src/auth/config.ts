import type { NetworkOptions } from '../egress/egress.ts'
import type { Secret } from '../secret.ts'

/** `server.auth`, checked. */
export interface AuthConfig {
  /** In the order in which they are asked; Corral's own keys are always asked first. Never empty. */
  readonly authenticators: readonly AuthenticatorConfig[]
  /** Absent: tenants are an attribute like others. */
  readonly tenancy?: Tenancy | undefined
}

/** One `provider_config`; each authenticator's file has its own shape. */
export type AuthenticatorConfig =
  | ApiKeyConfig
  | LocalApiKeyConfig
  | OAuth2Config
  | KubernetesConfig
  | GitHubTokenConfig
  | CustomConfig
  | UpstreamHeaderConfig

/** Corral's own keys, and nothing else. */
interface ApiKeyConfig {
  readonly type: 'api_key'
}

/** Keys listed in the configuration. */
interface LocalApiKeyConfig {
  readonly type: 'local_api_key'
  readonly apiKeys: readonly Secret[]
}

/** Claim (a path with dots, or its literal name) → attribute. */
export type ClaimsMapping = Readonly<Record<string, string>>

/** Common to all authenticators that call a service. */
export interface RemoteConfig {
  /** Set before the principal's id, so that two authenticators cannot give one name to two people. */
  readonly principalPrefix: string
  readonly cache: CacheConfig
  readonly lookups: LookupLimits
  /** Milliseconds for one request to the identity service; also the maximum wait in the queue. */
  readonly timeout: number
  /** With TLS and times; one object for the authenticator's life. */
  readonly network: NetworkOptions
}

/** How long results are cached. Milliseconds; 0: not at all. */
export interface CacheConfig {
  readonly ttl: number
  readonly negativeTtl: number
  /** Of each kind, good and bad. */
  readonly maxEntries: number
}

/** What keeps a flood of unknown credentials away from the identity service. */
export interface LookupLimits {
  readonly concurrent: number
  readonly queued: number
  /** Of one client address; 0: any number. */
  readonly refusalsPerMinute: number
}

export interface OAuth2Config extends RemoteConfig {
  readonly type: 'oauth2_token'
  /** Any one of these. */
  readonly audience: readonly string[]
  /** Whether `audience` is configured: introspection checks it only then. */
  readonly audienceConfigured: boolean
  readonly issuer: string | undefined
  /** The claim that names the principal; absent: `sub`, in introspection else `username`. */
  readonly principalClaim: string | undefined
  readonly claimsMapping: ClaimsMapping
  /** The claim at the top level that names the tenant. */
  readonly tenantClaim?: string | undefined
  /** Seconds that clocks may differ by. */
  readonly clockTolerance: number
  readonly requireExpiry: boolean
  /** How tokens are checked: by the issuer's keys, or by asking the issuer. */
  readonly check: JwksConfig | IntrospectionConfig
}

export interface JwksConfig {
  readonly kind: 'jwks'
  readonly uri: string
  /** Shown to the JWKS endpoint. */
  readonly token: Secret | undefined
  /** Milliseconds after which the keys are fetched again. */
  readonly recheckPeriod: number
  /** Milliseconds between two fetches because of a key that is not known. */
  readonly refetchCooldown: number
}

export interface IntrospectionConfig {
  readonly kind: 'introspection'
  readonly url: string
  readonly clientId: string
  readonly clientSecret: Secret
  readonly sendSecretInBody: boolean
}

export interface KubernetesConfig extends RemoteConfig {
  readonly type: 'kubernetes'
  readonly apiServerUrl: string
  readonly claimsMapping: ClaimsMapping
  /** The claim of the user's info that names the tenant; a path with dots, or its literal name. */
  readonly tenantClaim?: string | undefined
}

export interface GitHubTokenConfig extends RemoteConfig {
  readonly type: 'github_token'
  readonly apiBaseUrl: string
  readonly claimsMapping: ClaimsMapping
}

export interface CustomConfig extends RemoteConfig {
  readonly type: 'custom'
  readonly endpoint: string
  /** Further request headers to pass on, in lower case. */
  readonly forwardHeaders: readonly string[]
  /** The field of the endpoint's response that names the tenant. */
  readonly tenantField?: string | undefined
}

export interface UpstreamHeaderConfig {
  readonly type: 'upstream_header'
  readonly principalPrefix: string
  /** In lower case. */
  readonly principalHeader: string
  readonly attributesHeader: string | undefined
  /** Header, in lower case → attribute. */
  readonly attributeHeaders: Readonly<Record<string, string>>
  /** In lower case. */
  readonly tenantHeader?: string | undefined
  /** CIDRs or addresses of the proxies that may say who is asking. Never empty. */
  readonly trustedProxies: readonly string[]
}

/** `server.tenancy`, checked. */
export type Tenancy =
  /** Every principal is of this tenant. */
  | { readonly mode: 'single'; readonly tenant: string }
  /** Every principal must have a tenant. */
  | { readonly mode: 'multi' }
