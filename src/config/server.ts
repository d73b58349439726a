import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'
import type { CorsConfig, ServerConfig } from './config.ts'
import { type ServerSection, serverSchema } from './schema-server.ts'
import { expandHome, type Substitution, substitute, withEntry } from './substitute.ts'
import { child, emptyMap, holdsNothing, isEmpty, type MapNode, shown, type TreeNode } from './tree.ts'
import { type Strictness, validate } from './validate.ts'

/** What a flag or a variable says in the file's place. */
export interface ServerOverrides {
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly workers?: number | undefined
}

interface ServerReading extends Substitution {
  readonly overrides: ServerOverrides
  readonly strictness: Strictness
  readonly cwd: string
}

/** Reads `server:`. Undefined after reporting errors. */
export function readServer(root: MapNode, reading: ServerReading): ServerConfig | undefined {
  const { report } = reading
  const section = child(root, 'server')
  const written = section && !isEmpty(section) ? section : emptyMap(['server'], root.at)
  if (written.kind !== 'map') {
    report.error(written, 'must be a map of keys')
    return undefined
  }
  const guarded = refuseUnserved(written, reading)
  const expanded = substitute(guarded, reading) as MapNode
  const values = validate(expanded, serverSchema, { report, strictness: 'strict' })
  if (!values) return undefined
  const tls = readTls(expanded, values, reading)
  const cors = readCors(values.cors)
  const host = reading.overrides.host ?? values.host ?? undefined
  refuseOpenHost(host, values, { expanded, reading })
  return {
    port: reading.overrides.port ?? values.port,
    host: host === '' ? undefined : host,
    ...(values.allowed_hosts && { allowedHosts: values.allowed_hosts }),
    allowUnauthenticated: values.allow_unauthenticated,
    workers: reading.overrides.workers ?? values.workers,
    ...(tls && { tls }),
    ...(cors && { cors }),
    registryRefreshInterval: values.registry_refresh_interval_seconds,
    maxBodyBytes: values.max_request_body_bytes,
    uploadIdleTimeout: values.upload_idle_timeout_seconds,
    streamHeadTimeout: values.stream_head_timeout_seconds,
    heartbeatInterval: values.heartbeat_interval_seconds,
    drainTimeout: values.drain_timeout_seconds,
    drainGrace: values.drain_grace_seconds,
    trustedProxies: [],
    clientVersions: [],
    docsNeedAuth: true,
  }
}

/** What protects is never skipped: `auth` and `quota` with content stop the start. Returns the section without them. */
function refuseUnserved(section: MapNode, reading: ServerReading): MapNode {
  const entries = new Map(section.entries)
  const quota = entries.get('quota')?.node
  if (quota && !holdsNothing(quota)) {
    reading.report.error(
      quota,
      'quotas are not served by this version yet, and a limit is never skipped silently: remove server.quota to start without one',
    )
  }
  const auth = entries.get('auth')?.node
  if (auth && !holdsNothing(auth)) refuseAuth(auth, reading)
  for (const key of ['route_policy', 'access_policy']) {
    const policy = entries.get(key)
    if (policy && !holdsNothing(policy.node)) reading.report.error(policy.node, policyMessage)
    entries.delete(key)
  }
  entries.delete('auth')
  entries.delete('quota')
  return { ...section, entries }
}

const policyMessage = 'policies are not served by this version yet, and what protects is never skipped silently: remove it to start without'

function refuseAuth(auth: TreeNode, reading: ServerReading): void {
  const { report } = reading
  if (auth.kind !== 'map') {
    report.error(auth, 'must be a map of keys')
    return
  }
  const rest = withoutUnsetProvider(auth, reading)
  let told = false
  for (const [key, entry] of rest.entries) {
    if (holdsNothing(entry.node)) continue
    if (key === 'route_policy' || key === 'access_policy') report.error(entry.node, policyMessage)
    else if (!told) {
      report.error(
        auth,
        'authentication is not served by this version yet, and what protects is never skipped silently: remove server.auth to start without it',
      )
      told = true
    }
  }
}

/** Conditional authentication: a `provider_config.type` that comes out empty switches it off, before its other fields are expanded. */
function withoutUnsetProvider(auth: MapNode, reading: ServerReading): MapNode {
  const provider = child(auth, 'provider_config')
  const type = child(provider, 'type')
  if (!provider || type?.kind !== 'scalar') return auth
  if (!isEmpty(substitute(type, reading))) return auth
  return withEntry(auth, 'provider_config', {
    kind: 'scalar',
    path: provider.path,
    at: provider.at,
    meanings: [null],
    source: '',
    expanded: true,
  })
}

function readTls(section: MapNode, values: ServerSection, { report, cwd, home }: ServerReading): ServerConfig['tls'] {
  const { tls_certfile: cert, tls_keyfile: key, tls_cafile: ca } = values
  const place = child(section, cert ? 'tls_certfile' : key ? 'tls_keyfile' : 'tls_cafile') ?? section
  if (!cert && !key && !ca) return undefined
  if (!cert || !key) {
    const missing = [!cert && 'server.tls_certfile', !key && 'server.tls_keyfile'].filter(Boolean).join(' and ')
    report.error(place, `HTTPS needs a certificate and its key: ${missing} is missing, and a half of the pair would mean plain HTTP`)
    return undefined
  }
  const absolute = (name: string, path: string) => {
    const full = resolve(cwd, expandHome(path, home))
    const node = child(section, name) ?? section
    try {
      accessSync(full, constants.R_OK)
    } catch (error) {
      report.error(node, `the file ${shown(node)} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown cause'})`)
    }
    return full
  }
  return {
    cert: absolute('tls_certfile', cert),
    key: absolute('tls_keyfile', key),
    ...(ca && { clientCa: absolute('tls_cafile', ca) }),
  }
}

function refuseOpenHost(host: string | undefined, values: ServerSection, at: { expanded: MapNode; reading: ServerReading }): void {
  if (!host || isLoopback(host) || values.allow_unauthenticated) return
  const { expanded, reading } = at
  const message =
    'others could reach this address, and nobody would have to authenticate: set server.allow_unauthenticated: true to allow that, or leave the host out to serve this machine alone'
  if (reading.overrides.host !== undefined) reading.report.errorOf('--host', message)
  else reading.report.error(child(expanded, 'host') ?? expanded, message)
}

export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare)
}

const developmentCors: CorsConfig = {
  allowOrigins: [],
  allowOriginRegex: /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/,
  allowMethods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  // The origins are this machine's own, and every client library has headers of its own.
  allowHeaders: ['*'],
  exposeHeaders: [
    'X-Request-Id',
    'X-Corral-Error-Source',
    'Retry-After',
    'X-RateLimit-Limit-Requests',
    'X-RateLimit-Remaining-Requests',
    'X-RateLimit-Reset-Requests',
  ],
  allowCredentials: false,
  maxAge: 600,
}

function readCors(cors: ServerSection['cors']): CorsConfig | undefined {
  if (!cors) return undefined
  if (cors === true) return developmentCors
  return {
    allowOrigins: cors.allow_origins,
    // Llama Stack matches the whole origin.
    ...(cors.allow_origin_regex && { allowOriginRegex: new RegExp(`^(?:${cors.allow_origin_regex})$`) }),
    allowMethods: cors.allow_methods,
    allowHeaders: cors.allow_headers,
    exposeHeaders: cors.expose_headers,
    allowCredentials: cors.allow_credentials,
    maxAge: cors.max_age,
  }
}
