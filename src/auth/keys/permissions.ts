import { accessDenied, denialOf } from '../../access/refusal.ts'
import type { AccessPolicy, Action, Owner, Resource } from '../../access/policy.ts'
import type { Call, Principal } from '../../call.ts'
import { ApiError, shortened } from '../../errors.ts'
import { compileWildcard } from '../../quota/patterns.ts'

/** What a key would let whoever holds it do. */
export interface RequestedGrant {
  readonly id: string
  readonly principal: string
  readonly attributes: Principal['attributes']
  readonly allowedModels: readonly string[] | undefined
  readonly allowedApis: readonly string[] | undefined
  readonly expiresAt: number | undefined
}

export const keyResource = (id: string, owner: Owner | undefined): Resource => ({ type: 'api_key', id, owner })

/** Without authentication nobody can be told from anybody, and a key would be worth nothing. */
export function requirePrincipal({ principal }: Call): Principal {
  if (principal) return principal
  throw forbidden(
    'API keys are managed over HTTP only where authentication is configured (server.auth.provider_config). Without it, use `corral keys` on the machine of the server.',
    { code: 'authentication_required', reason: 'authentication is not configured' },
  )
}

/** Throws 403 unless a rule of the configured policy permits it: the default policy is not enough. */
export function requirePermission(policy: AccessPolicy, call: Call, action: Action, resource: Resource): void {
  const question = { principal: requirePrincipal(call), action, resource }
  const decision = policy.decide(question)
  if (!decision.allowed) throw accessDenied(question, decision)
  if (decision.explicit) return
  const what = shortened(`${resource.type}::${resource.id}`)
  throw new ApiError(
    'permission_error',
    `To ${action} '${what}' over HTTP takes a rule of server.auth.access_policy that permits it; the default policy does not.`,
    { code: 'permit_required', denial: { ...denialOf(decision, action, resource), reason: 'no rule of the configured policy permits it' } },
  )
}

/**
 * Whoever makes or rotates a key holds it, so nobody may be given one that can do more than they can themselves, as far as that can be decided:
 *
 * - For itself, a caller can have no attribute that it has not got.
 * - For somebody else takes a rule that permits to `create` `principal::NAME`. Such a key may have any attributes.
 * - Who came with one of Corral's own keys cannot have a key for more models or APIs, or that lives longer; and none at all where that
 *   key has limits, which a new one would start to count anew.
 */
export function requireGrantable(policy: AccessPolicy, call: Call, grant: RequestedGrant, expiryOfCallersKey: number | undefined): void {
  const caller = requirePrincipal(call)
  if (grant.principal !== caller.id) {
    // Owned by nobody that there is: neither "user is owner" nor "resource is unowned" permits it by accident.
    requirePermission(policy, call, 'create', { type: 'principal', id: grant.principal, owner: { id: '', attributes: {} } })
  } else {
    const more = firstMissing(grant.attributes, caller.attributes)
    if (more) throw exceedsCaller(grant.id, 'attributes', `it would have ${more}, which you have not`)
  }
  const { key } = caller
  if (!key) return
  if (key.limits.length > 0) throw exceedsCaller(grant.id, null, 'your own key has limits, and the new one would count them anew')
  const { allowedModels, allowedApis } = key
  if (allowedModels) {
    const wide = (grant.allowedModels ?? ['*']).find((pattern) => !allowedModels.some((own) => covers(own, pattern)))
    if (wide !== undefined) throw exceedsCaller(grant.id, 'allowed_models', `your own key may not use the models '${shortened(wide)}'`)
  }
  if (allowedApis) {
    const wide = grant.allowedApis ? grant.allowedApis.find((api) => !allowedApis.includes(api)) : 'every other one'
    if (wide !== undefined) throw exceedsCaller(grant.id, 'allowed_apis', `your own key may not use the API '${shortened(wide)}'`)
  }
  if (expiryOfCallersKey !== undefined && (grant.expiresAt ?? Infinity) > expiryOfCallersKey) {
    throw exceedsCaller(grant.id, 'expires_at', `your own key expires earlier, at ${new Date(expiryOfCallersKey).toISOString()}`)
  }
}

/**
 * Whether whatever matches `narrow` matches `wide` too. A star of `narrow` stands for anything, so only a star of `wide` may take it, and no
 * other character of a pattern is one: so `narrow` can be looked at as if it were a text.
 */
function covers(wide: string, narrow: string): boolean {
  return compileWildcard(wide)(narrow)
}

/** The first value that `wanted` has and `own` has not, e.g. `roles 'admin'`. */
function firstMissing(input: Principal['attributes'], own: Principal['attributes']): string | undefined {
  for (const [name, values] of Object.entries(input)) {
    const has = Object.hasOwn(own, name) ? own[name] : undefined
    const missing = values.find((value) => !has?.includes(value))
    if (missing !== undefined) return `${shortened(name)} '${shortened(missing)}'`
  }
  return undefined
}

function exceedsCaller(id: string, param: string | null, why: string): ApiError {
  return forbidden(`This key would be able to do more than you: ${why}.`, { code: 'key_exceeds_caller', reason: why, param, resource: id })
}

interface Forbidden {
  readonly code: string
  readonly reason: string
  readonly param?: string | null
  readonly resource?: string
}

function forbidden(message: string, { code, reason, param = null, resource }: Forbidden): ApiError {
  return new ApiError('permission_error', message, {
    code,
    param,
    denial: { by: 'access_policy', reason, ...(resource !== undefined && { resource: `api_key::${resource}` }) },
  })
}
