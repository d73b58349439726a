import type { AccessPolicy, RoutePolicy } from '../access/policy.ts'
import type { AuthConfig } from '../auth/config.ts'
import type { EgressConfig } from '../egress/config.ts'
import type { QuotaConfig } from '../quota/config.ts'
import type { Secret } from '../secret.ts'
import type { StorageConfig } from '../storage/config.ts'
import type { TelemetryConfig } from '../telemetry/config.ts'
import type { ProviderModel, ProviderDefinition } from '../providers/provider.ts'
import type { ModelType } from '../schemas/models.ts'

/** The configuration as the rest of the server reads it: substituted, validated, defaults filled in. */
export interface Config {
  /** `distro_name`, or the older `image_name`. */
  readonly distribution: string
  /** The APIs to serve; empty means all that have a provider. */
  readonly apis: readonly string[]
  /** Enabled providers that this server knows how to run, in the file's order. */
  readonly providers: readonly ProviderEntry[]
  readonly models: readonly RegisteredModel[]
  readonly server: ServerConfig
  readonly storage: StorageConfig
  /** Absent: no authentication. */
  readonly auth?: AuthConfig | undefined
  readonly accessPolicy: AccessPolicy
  /** Absent: authenticated callers may use every route. */
  readonly routePolicy?: RoutePolicy | undefined
  readonly quota: QuotaConfig
  /** What API keys are hashed with; absent: a file in Corral's home. */
  readonly keyPepper?: Secret | undefined
  /** `auth`, `quota`, `egress` and `audit` of `server` as the file has them, references expanded and secrets masked: for showing. */
  readonly written?: Readonly<Record<string, unknown>> | undefined
  /** The folder of what Corral keeps on this machine (`CORRAL_HOME`, else `~/.corral`), absolute. */
  readonly home: string
  /** Where denials and changes are recorded; absent: nowhere. */
  readonly audit?: AuditConfig | undefined
  /** What callers' own URLs may reach. */
  readonly egress: EgressConfig
  /** Absent: as in `defaultTelemetry`. */
  readonly telemetry?: TelemetryConfig | undefined
  readonly logging: {
    readonly categoryLevels: Readonly<Record<string, string>>
    /** Colours on a terminal (`NO_COLOR`, `FORCE_COLOR`). Default true. */
    readonly colour?: boolean
    /** A file that gets every line as well, absolute. */
    readonly file?: string
  }
}

export interface AuditConfig {
  /** Absolute. */
  readonly folder: string
  /** Absent: files are kept. */
  readonly keepDays?: number | undefined
  readonly maxFileBytes?: number | undefined
}

export interface ProviderEntry {
  readonly id: string
  readonly type: string
  readonly api: string
  readonly definition: ProviderDefinition
  /** Parsed by the definition's own schema; secrets are `Secret`s. */
  readonly config: unknown
}

/** An entry of `registered_resources.models` (or the older `models:`). */
export interface RegisteredModel {
  readonly modelId: string
  /** `all`: the alias goes to the first provider that can serve it. Absent: the only provider there is. */
  readonly providerId?: string | undefined
  /** `auto`: the provider's first model of this type. Absent: the same as `modelId`. */
  readonly providerModelId?: string | undefined
  readonly type: ModelType
  readonly metadata: ProviderModel['metadata']
}

export interface ServerConfig {
  readonly port: number
  /** Undefined: loopback. */
  readonly host: string | undefined
  /** Further names of this server that a `Host` header may carry (`server.allowed_hosts`). */
  readonly allowedHosts?: readonly string[] | undefined
  readonly allowUnauthenticated: boolean
  readonly workers: number
  readonly tls?: TlsConfig | undefined
  /** Seconds that browsers use HTTPS only, by the header `Strict-Transport-Security` over TLS. Absent or 0: no header. */
  readonly hstsMaxAge?: number | undefined
  readonly cors?: CorsConfig | undefined
  /** CIDRs of proxies whose `x-forwarded-for` (or `forwarded`) is trusted; empty: none. */
  readonly trustedProxies: readonly string[]
  /**
   * The `major.minor`s of clients that are served (`X-LlamaStack-Client-Version`, `X-OGX-Client-Version`); others get 426. Empty: all are.
   */
  readonly clientVersions: readonly string[]
  /** Whether the reference page and `/openapi.json` want a credential once there is authentication. Default true. */
  readonly docsNeedAuth: boolean
  /** Seconds between two listings of the providers that ask for it (`refresh_models`). */
  readonly registryRefreshInterval: number
  /** Bytes. */
  readonly maxBodyBytes: number
  /** Seconds without a byte after which a request's body is given up on. */
  readonly uploadIdleTimeout: number
  /** Seconds a stream's head may wait for the upstream's. */
  readonly streamHeadTimeout: number
  /** Seconds of silence before a heartbeat. */
  readonly heartbeatInterval: number
  /** Maximum duration of a stream in seconds; 0: no limit. */
  readonly maxStreamSeconds: number
  /** Requests that may run at once in one process, streams included. */
  readonly maxJsonMembers: number
  readonly maxBufferedBodyBytes: number
  readonly maxRunningRequests: number
  /** Seconds that running requests get to finish after SIGTERM. */
  readonly drainTimeout: number
  /** Seconds between `/readyz` turning false after SIGTERM and the port closing. Default 1; none after Ctrl+C. */
  readonly drainGrace?: number | undefined
}

export interface TlsConfig {
  /** Paths of PEM files; with `clientCa`, clients must show a certificate signed by it. */
  readonly cert: string
  readonly key: string
  readonly clientCa?: string | undefined
  /** TLS 1.2 cipher suites by OpenSSL's names. Absent: the runtime's. */
  readonly ciphers?: readonly string[] | undefined
}

/** Behaviour of `server.cors`; `true` in the file is the development default. */
export interface CorsConfig {
  readonly allowOrigins: readonly string[]
  readonly allowOriginRegex?: RegExp | undefined
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly allowCredentials: boolean
  /** Seconds. */
  readonly maxAge: number
}
