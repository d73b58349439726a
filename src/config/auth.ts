import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { withTenantIsolation, compileAccessPolicy } from '../access/access-policy.ts'
import { compileRoutePolicy } from '../access/route-policy.ts'
import { readAuth } from '../auth/read-auth.ts'
import { tenantAttribute } from '../auth/tenant.ts'
import type { Tenancy } from '../auth/config.ts'
import type { Config } from './config.ts'
import type { ServerAuthSection } from './schema-auth.ts'
import type { ServerSection } from './schema-server.ts'
import type { Report } from './report.ts'
import { expandHome, hasReference, type Substitution, substitute, withEntry } from './substitute.ts'
import { child, holdsNothing, isEmpty, type MapEntry, type MapNode, nodeAt, scalarsOf, type TreeNode } from './tree.ts'

/** What `server.auth` comes to. */
export type AuthSettings = Pick<Config, 'auth' | 'accessPolicy' | 'routePolicy' | 'keyPepper'>

interface AuthSectionContext extends Substitution {
  readonly cwd: string
  readonly trustedProxies: readonly string[]
  readonly tenancy: ServerSection['tenancy']
  /** Its position, for messages. */
  readonly tenancyNode: TreeNode | undefined
  /** The file contains an authenticator that an unset variable disables. */
  readonly isSwitchedOff: boolean
}

/** `node` is the section, for messages. */
export function readAuthSection(
  values: ServerAuthSection | null | undefined,
  node: TreeNode | undefined,
  context: AuthSectionContext,
): AuthSettings {
  const { provider_config: provider, access_policy: access, route_policy: routes, key_pepper: keyPepper } = values ?? {}
  const policy = child(node, 'access_policy')
  for (const section of [policy, child(node, 'route_policy')]) refuseEmptied(section, context.report)
  if (!provider && access?.length && policy) {
    const why = 'has no effect without authentication'
    if (context.isSwitchedOff) context.report.warn('notice', policy, `${why}, and server.auth.provider_config is switched off`)
    else
      context.report.error(policy, `${why}: add server.auth.provider_config ({type: api_key} for Corral's own keys alone), or take it out`)
  }
  const auth = provider ? readAuthenticators(provider, child(node, 'provider_config'), context) : undefined
  const tenancy = readTenancy(auth, context)
  const accessPolicy = compileAccessPolicy(access ?? [])
  return {
    ...(auth && { auth: { ...auth, ...(tenancy && { tenancy }) } }),
    accessPolicy: tenancy?.mode === 'multi' ? withTenantIsolation(accessPolicy, tenantAttribute) : accessPolicy,
    ...(routes?.length && { routePolicy: compileRoutePolicy(routes) }),
    ...(keyPepper && { keyPepper }),
  }
}

/** A rule without the principal, resource or condition that a variable was to give would apply to more than was meant. */
function refuseEmptied(policy: TreeNode | undefined, report: Report): void {
  for (const scalar of policy ? scalarsOf(policy) : []) {
    if (!scalar.expanded || scalar.failed || !isEmpty(scalar) || scalar.path.at(-1) === 'description') continue
    report.error(scalar, `${scalar.source} is empty, and the policy would differ from what is written: set the variable, or give a default`)
  }
}

/** Tenants protect only where callers are known, and where each of them can have one. */
function readTenancy(auth: Config['auth'], { tenancy, tenancyNode, report, isSwitchedOff }: AuthSectionContext): Tenancy | undefined {
  if (!tenancy || !tenancyNode) return undefined
  const written = child(tenancyNode, 'mode')
  if (written && isEmpty(written)) {
    report.error(written, 'is empty, and tenants would not be separated: write single, multi or disabled')
    return undefined
  }
  if (!written && tenancy.default_tenant_id) {
    report.warn('notice', tenancyNode, 'has no effect without a mode: write mode: single to make every caller of default_tenant_id')
  }
  if (tenancy.mode === 'disabled') return undefined
  const { mode, default_tenant_id: tenant } = tenancy
  if (!auth) {
    const why = 'has no effect without authentication'
    if (isSwitchedOff) report.warn('notice', tenancyNode, `${why}, and server.auth.provider_config is switched off`)
    else report.error(tenancyNode, `${why}: add server.auth.provider_config, or set mode: disabled`)
    return undefined
  }
  if (mode === 'single') {
    if (tenant) return { mode, tenant }
    report.error(tenancyNode, 'needs default_tenant_id in the mode single: the tenant of every caller')
    return undefined
  }
  if (tenant) {
    const place = child(tenancyNode, 'default_tenant_id') ?? tenancyNode
    report.warn('notice', place, 'has no effect in the mode multi: a caller without a tenant is refused')
  }
  if (auth.authenticators.some(({ type }) => type === 'local_api_key')) {
    report.error(tenancyNode, 'the mode multi does not go with auth type local_api_key, whose keys are of no tenant: use api_key')
  }
  return { mode }
}

function readAuthenticators(
  section: NonNullable<ServerAuthSection['provider_config']>,
  node: TreeNode | undefined,
  { report, cwd, home, trustedProxies }: AuthSectionContext,
): Config['auth'] {
  const readFile = (path: string) => readFileSync(resolve(cwd, expandHome(path, home)), 'utf8')
  const { config, problems } = readAuth(section, { trustedProxies, readFile })
  for (const { path, message } of problems) {
    const place = (node && nodeAt(node, path)) ?? node
    if (place) report.error(place, message)
  }
  return config
}

/** Settings of Llama Stack 0.2 by their present names. */
const renamed: Readonly<Record<string, string>> = { ca_cert_path: 'tls_cafile' }

/**
 * Reads `auth: { provider_type, config }` of Llama Stack 0.2 as `auth: { provider_config: { type, … } }`, with a deprecation warning.
 * Both forms at once are an error: only one of them could protect.
 */
export function withCurrentAuth(server: MapNode, report: Report): MapNode {
  const auth = child(server, 'auth')
  const type = child(auth, 'provider_type')
  if (auth?.kind !== 'map' || !type) return server
  const older = child(auth, 'config')
  const others = new Map([...auth.entries].filter(([key]) => key !== 'provider_type' && key !== 'config'))
  const hasBoth = !holdsNothing(others.get('provider_config')?.node)
  if (hasBoth) report.error(type, 'is the older form of provider_config, which is also set: remove provider_type and config')
  else if (older && older.kind !== 'map' && !isEmpty(older)) report.error(older, 'must be a map')
  else {
    const message = 'is the form of Llama Stack 0.2, which is deprecated: write provider_config: { type: ..., with the keys of config }'
    report.warn('notice', type, message)
    const settings = older?.kind === 'map' ? [...older.entries] : []
    const entries = new Map<string, MapEntry>([['type', { at: type.at, node: type }]])
    for (const [key, entry] of settings) entries.set(renamed[key] ?? key, entry)
    const node: MapNode = { kind: 'map', path: [...auth.path, 'config'], at: older?.at ?? type.at, entries }
    others.set('provider_config', { at: type.at, node })
  }
  return withEntry(server, 'auth', { ...auth, entries: others })
}

/**
 * Conditional authentication: an authenticator whose `type` is empty is disabled, before its other fields are expanded. Reported, since
 * a variable that went missing would otherwise open the server without a word.
 */
export function withoutUnsetAuthenticators(server: MapNode, using: Substitution): MapNode {
  const auth = child(server, 'auth')
  const configured = child(auth, 'provider_config')
  if (auth?.kind !== 'map' || !configured) return server
  const left = without(configured, using)
  return left === configured ? server : withEntry(server, 'auth', withEntry(auth, 'provider_config', left))
}

function without(configured: TreeNode, using: Substitution): TreeNode {
  if (configured.kind !== 'list') return isUnset(configured, using) ? nothingAt(configured) : configured
  const items = configured.items.filter((item) => !isUnset(item, using))
  if (items.length === configured.items.length) return configured
  return items.length === 0 ? nothingAt(configured) : { ...configured, items }
}

function isUnset(authenticator: TreeNode, using: Substitution): boolean {
  const type = child(authenticator, 'type')
  // Without a reference it is not conditional but a mistake, which the schema reports.
  if (type?.kind !== 'scalar' || !hasReference(type)) return false
  const expanded = substitute(type, using)
  if (!isEmpty(expanded) || (expanded.kind === 'scalar' && expanded.failed)) return false
  using.report.warn('notice', type, 'is empty: this authentication is switched off')
  return true
}

function nothingAt({ path, at }: TreeNode): TreeNode {
  return { kind: 'scalar', path, at, meanings: [null], source: '', expanded: true }
}
