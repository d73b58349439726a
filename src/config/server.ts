import { join, resolve } from 'node:path'
import { matchesEveryAddress } from '../auth/trusted-peers.ts'
import { readProxies } from '../egress/proxies.ts'
import { toQuotaConfig } from '../quota/schema.ts'
import { type AuthSettings, readAuthSection, withCurrentAuth, withoutUnsetAuthenticators } from './auth.ts'
import { limitsAnything } from '../quota/config.ts'
import type { Config, CorsConfig, ServerConfig } from './config.ts'
import { type Environment, families } from './environment.ts'
import { redact } from './redact.ts'
import { protects } from './schema.ts'
import { auditSchema, type ServerSection, serverSchema } from './schema-server.ts'
import type { Report } from './report.ts'
import { expandHome, type Substitution, substitute } from './substitute.ts'
import { child, emptyMap, holdsNothing, isEmpty, type MapNode, nodeAt } from './tree.ts'
import { readTls } from './tls.ts'
import { type Strictness, validateWritten } from './validate.ts'

/** What a flag or a variable says in the file's place. */
interface ServerOverrides {
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly workers?: number | undefined
}

interface ServerContext extends Substitution {
  readonly overrides: ServerOverrides
  readonly strictness: Strictness
  readonly cwd: string
  /** Absolute. */
  readonly corralHome: string
}

/** What the section comes to, beside the server's own settings. */
type ServerSettings = Pick<Config, 'server' | 'quota' | 'egress' | 'audit' | 'written'> & AuthSettings

/** Reads `server:`. Undefined after reporting errors. */
export function readServer(root: MapNode, context: ServerContext): ServerSettings | undefined {
  const { report } = context
  const section = child(root, 'server')
  const found = section && !isEmpty(section) ? section : emptyMap(['server'], root.at)
  if (found.kind !== 'map') {
    report.error(found, 'must be a map')
    return undefined
  }
  const placed = withCurrentAuth(refuseMisplaced(found, context), report)
  const enabled = withoutUnsetAuthenticators(placed, context)
  const expanded = substitute(enabled, context) as MapNode
  const read = validateWritten(expanded, serverSchema, {
    report,
    strictness: context.strictness,
    isStrictAt: ([key]) => protects(String(key)),
  })
  if (!read) return undefined
  const { value: values, written } = read
  const auth = readAuthSection(values.auth, child(expanded, 'auth'), {
    ...context,
    trustedProxies: values.trusted_proxies ?? [],
    tenancy: values.tenancy,
    tenancyNode: child(expanded, 'tenancy'),
    isSwitchedOff: enabled !== placed,
  })
  const quota = withAbsolutePath(toQuotaConfig(values.quota), context)
  const host = context.overrides.host ?? values.host ?? undefined
  if (!auth.auth) refuseOpenHost(host, values, { expanded, context })
  warnOfTrustInAll(values, { expanded, context })
  warnOfInsecure(expanded, values, report)
  const proxies = readProxies(context.env)
  const audit = readAudit(values.audit, auth.auth !== undefined || auth.routePolicy !== undefined || limitsAnything(quota), context)
  return {
    ...auth,
    quota,
    egress: { allow: values.egress?.allow ?? [], ...(values.egress?.deny && { deny: values.egress.deny }), ...(proxies && { proxies }) },
    ...(audit && { audit }),
    written: writtenGuards(written, values),
    server: readOwn(values, host, { expanded, context }),
  }
}

interface ServerSectionPlace {
  readonly expanded: MapNode
  readonly context: ServerContext
}

function readOwn(values: ServerSection, host: string | undefined, { expanded, context }: ServerSectionPlace): ServerConfig {
  const tls = readTls(expanded, values, context)
  const cors = readCors(values.cors)
  return {
    port: context.overrides.port ?? values.port,
    host: host === '' ? undefined : host,
    ...(values.allowed_hosts && { allowedHosts: values.allowed_hosts }),
    allowUnauthenticated: values.allow_unauthenticated,
    workers: context.overrides.workers ?? values.workers,
    ...(tls && { tls }),
    ...(values.hsts_max_age && { hstsMaxAge: values.hsts_max_age }),
    ...(cors && { cors }),
    trustedProxies: values.trusted_proxies ?? [],
    clientVersions: readClientVersions(values.client_version_check, context.env),
    docsNeedAuth: !values.auth?.docs_public,
    registryRefreshInterval: values.registry_refresh_interval_seconds,
    maxBodyBytes: values.max_request_body_bytes,
    uploadIdleTimeout: values.upload_idle_timeout_seconds,
    streamHeadTimeout: values.stream_head_timeout_seconds,
    heartbeatInterval: values.heartbeat_interval_seconds,
    maxStreamSeconds: values.max_stream_seconds,
    maxJsonMembers: values.max_json_members,
    maxBufferedBodyBytes: values.max_buffered_body_bytes,
    maxRunningRequests: values.max_running_requests,
    drainTimeout: values.drain_timeout_seconds,
    drainGrace: values.drain_grace_seconds,
  }
}

function withAbsolutePath(quota: Config['quota'], { cwd, home }: ServerContext): Config['quota'] {
  const { store } = quota
  if (!store || !('path' in store)) return quota
  return { ...quota, store: { ...store, path: resolve(cwd, expandHome(store.path, home)) } }
}

/** Policies stand in `server.auth`; anywhere else they would protect nothing. */
function refuseMisplaced(section: MapNode, { report }: ServerContext): MapNode {
  const entries = new Map(section.entries)
  for (const key of ['route_policy', 'access_policy', 'provider_config']) {
    const entry = entries.get(key)
    if (entry && !holdsNothing(entry.node)) report.error(entry.node, `has no effect here: move it to server.auth.${key}`)
    entries.delete(key)
  }
  return { ...section, entries }
}

/** Any non-empty value of the variable switches the check off, as in Llama Stack. */
function readClientVersions(check: ServerSection['client_version_check'], env: Environment): readonly string[] {
  if (!check || families.some((family) => env[`${family}_DISABLE_VERSION_CHECK`])) return []
  return check === true ? spokenVersions : check
}

/** The versions of Llama Stack's and OGX's clients that this version has been tried with, from the oldest to the newest. */
const spokenVersions = ['0.2', '0.3', '0.4', '0.5', '0.6', '0.7']

function readAudit(audit: ServerSection['audit'], isGoverned: boolean, { cwd, home, corralHome }: ServerContext): Config['audit'] {
  if (!(audit ?? isGoverned)) return undefined
  const { folder, keep_days: keepDays, max_file_bytes: maxFileBytes } = typeof audit === 'object' && audit ? audit : auditSchema.parse({})
  return {
    folder: folder ? resolve(cwd, expandHome(folder, home)) : join(corralHome, 'audit'),
    maxFileBytes,
    ...(keepDays && { keepDays }),
  }
}

/** Who may do what and how much, as the file says it, secrets masked: for showing. */
function writtenGuards(written: unknown, values: ServerSection): Config['written'] {
  const { auth, tenancy, quota, egress, audit } = written as Partial<Record<string, unknown>>
  // What the schema read as a secret is masked everywhere.
  const masked = redact({ guards: { auth, tenancy, quota, egress, audit }, secrets: values }) as { guards: Record<string, unknown> }
  return Object.fromEntries(Object.entries(masked.guards).filter(([, value]) => value !== undefined && value !== null))
}

function refuseOpenHost(host: string | undefined, values: ServerSection, at: ServerSectionPlace): void {
  if (!host || isLoopback(host) || values.allow_unauthenticated) return
  const { expanded, context } = at
  const message =
    'this address is reachable from other hosts, but authentication is not configured: configure server.auth, set server.allow_unauthenticated: true to allow this, or remove the host to listen on loopback only'
  if (context.overrides.host !== undefined) context.report.errorOf('--host', message)
  else context.report.error(child(expanded, 'host') ?? expanded, message)
}

function warnOfTrustInAll({ trusted_proxies: ranges }: ServerSection, { expanded, context }: ServerSectionPlace): void {
  for (const [at, range] of (ranges ?? []).entries()) {
    const node = nodeAt(expanded, ['trusted_proxies', at])
    if (!node || !matchesEveryAddress(range)) continue
    context.report.warn('notice', node, `${range} includes every address: any client can set the caller's address`)
  }
}

function warnOfInsecure(section: MapNode, { insecure }: ServerSection, report: Report): void {
  const place = child(section, 'insecure')
  if (!insecure || !place) return
  report.warn('notice', place, 'has no effect: without tls_certfile the server uses plain HTTP, and other hosts require authentication')
}

function isLoopback(host: string): boolean {
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
    'X-Trace-Id',
    'X-Corral-Error-Source',
    'WWW-Authenticate',
    'Retry-After',
    'X-Should-Retry',
    'Deprecation',
    'Link',
    ...['Requests', 'Tokens'].flatMap((unit) => ['Limit', 'Remaining', 'Reset'].map((what) => `X-RateLimit-${what}-${unit}`)),
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
