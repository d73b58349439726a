import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'yaml'
import type { Backend, StorageConfig } from '../storage/config.ts'
import type { Config, CorsConfig, ServerConfig } from './config.ts'
import { redact } from './redact.ts'

/** The configuration in effect, in the file's own form, as YAML: every secret is `***`. */
export function renderConfig(config: Config): string {
  return stringify(shownConfig(config), { lineWidth: 0 })
}

/** The same as a value, e.g. for `--json`. */
export function shownConfig(config: Config): Readonly<Record<string, unknown>> {
  const providers: Record<string, object[]> = {}
  for (const { api, id, type, config: settings } of config.providers) {
    ;(providers[api] ??= []).push({ provider_id: id, provider_type: type, config: withoutEmpty(redact(settings)) ?? {} })
  }
  return {
    version: 2,
    distro_name: config.distribution,
    ...(config.apis.length > 0 && { apis: config.apis }),
    providers,
    registered_resources: { models: config.models.map(shownModel) },
    server: { ...shownServer(config.server), ...config.written },
    storage: shownStorage(config.storage),
    logging: { category_levels: config.logging.categoryLevels },
  }
}

function shownModel({ modelId, providerId, providerModelId, type, metadata }: Config['models'][number]): object {
  return {
    model_id: modelId,
    ...(providerId !== undefined && { provider_id: providerId }),
    ...(providerModelId !== undefined && { provider_model_id: providerModelId }),
    model_type: type,
    metadata: redact(metadata),
  }
}

function shownServer(server: ServerConfig): object {
  return {
    port: server.port,
    host: server.host ?? null,
    allow_unauthenticated: server.allowUnauthenticated,
    ...(server.allowedHosts && { allowed_hosts: server.allowedHosts }),
    workers: server.workers,
    ...(server.tls && {
      tls_certfile: server.tls.cert,
      tls_keyfile: server.tls.key,
      ...(server.tls.clientCa && { tls_cafile: server.tls.clientCa }),
      ...(server.tls.ciphers && { tls_config: { ciphers: server.tls.ciphers } }),
    }),
    ...(server.hstsMaxAge && { hsts_max_age: server.hstsMaxAge }),
    ...(server.cors && { cors: shownCors(server.cors) }),
    ...(server.trustedProxies.length > 0 && { trusted_proxies: server.trustedProxies }),
    ...(server.clientVersions.length > 0 && { client_version_check: server.clientVersions }),
    registry_refresh_interval_seconds: server.registryRefreshInterval,
    max_request_body_bytes: server.maxBodyBytes,
    upload_idle_timeout_seconds: server.uploadIdleTimeout,
    stream_head_timeout_seconds: server.streamHeadTimeout,
    heartbeat_interval_seconds: server.heartbeatInterval,
    max_stream_seconds: server.maxStreamSeconds,
    max_json_members: server.maxJsonMembers,
    max_buffered_body_bytes: server.maxBufferedBodyBytes,
    max_running_requests: server.maxRunningRequests,
    drain_timeout_seconds: server.drainTimeout,
    ...(server.drainGrace !== undefined && { drain_grace_seconds: server.drainGrace }),
  }
}

/** By engine: whether the file calls a database `kv_` or `sql_` makes no difference. */
function shownStorage({ backends, records }: StorageConfig): object {
  const names = Object.keys(backends)
  const metadata = names.find((name) => isDeepStrictEqual(backends[name], records)) ?? 'records'
  const shown = names.includes(metadata) ? backends : { ...backends, [metadata]: records }
  return {
    backends: Object.fromEntries(Object.entries(shown).map(([name, backend]) => [name, withoutEmpty(shownBackend(backend))])),
    stores: { metadata: { backend: metadata } },
  }
}

function shownBackend(backend: Backend): object {
  const type = `kv_${backend.engine}`
  if (backend.engine === 'sqlite') return { type, db_path: backend.path }
  const { host, port, user, password } = backend
  const common = { type, host, port, user, password: redact(password) }
  if (backend.engine === 'redis') return { ...common, tls: backend.tls }
  const { database: db, schema, sslMode: ssl_mode, caCertPath: ca_cert_path, poolSize: pool_size } = backend
  return { ...common, type: 'sql_postgres', db, schema, ssl_mode, ca_cert_path, pool_size }
}

function shownCors(cors: CorsConfig): object {
  return {
    allow_origins: cors.allowOrigins,
    ...(cors.allowOriginRegex && { allow_origin_regex: cors.allowOriginRegex.source }),
    allow_methods: cors.allowMethods,
    allow_headers: cors.allowHeaders,
    expose_headers: cors.exposeHeaders,
    allow_credentials: cors.allowCredentials,
    max_age: cors.maxAge,
  }
}

/** Omits settings without a value. */
function withoutEmpty(value: unknown): unknown {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) return value
  const entries = Object.entries(value).flatMap(([key, item]) => {
    const left = withoutEmpty(item)
    return left === undefined ? [] : [[key, left] as const]
  })
  return Object.fromEntries(entries)
}
