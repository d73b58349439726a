import { accessDenied, denialOf } from '../../access/refusal.ts'
import type { AccessPolicy, Action, Owner, Resource } from '../../access/policy.ts'
import type { Call, Principal } from '../../call.ts'
import { ApiError, shortened } from '../../errors.ts'
import type { ApiKey, CreateApiKeyRequest } from '../../schemas/api-keys.ts'
import { compileWildcard } from '../../quota/patterns.ts'

/** What a key permits its holder to do. */
type RequestedKey = Pick<ApiKey, 'id' | 'principal' | 'attributes'> &
  Pick<CreateApiKeyRequest, 'allowed_models' | 'allowed_apis' | 'expires_at'>

export const keyResource = (id: string, owner: Owner | undefined): Resource => ({ type: 'api_key', id, owner })

/** Without authentication no key is checked, and any caller could create one. */
export function requirePrincipal({ principal }: Call): Principal {
  if (principal) return principal
  throw authenticationRequired()
}

export function authenticationRequired(): ApiError {
  return forbidden(
    'API keys are managed over HTTP only where authentication is configured (server.auth.provider_config). Without it, use `corral keys` on the machine of the server.',
    { code: 'authentication_required', reason: 'authentication is not configured' },
  )
}

/** Throws 403 unless a rule of the configured policy permits it: the default policy is not enough. */
export function requirePermission(policy: AccessPolicy, call: Call, action: Action, resource: Resource): void {
  const request = { principal: requirePrincipal(call), action, resource }
  const decision = policy.decide(request)
  if (!decision.allowed) throw accessDenied(request, decision)
  if (decision.explicit) return
  const what = shortened(`${resource.type}::${resource.id}`)
  throw new ApiError(
    'permission_error',
    `To ${action} '${what}' over HTTP takes a rule of server.auth.access_policy that permits it; the default policy does not.`,
    { code: 'permit_required', denial: { ...denialOf(decision, action, resource), reason: 'no rule of the configured policy permits it' } },
  )
}

/**
 * The creator of a key holds it, as does who rotates it, so it must not be able to do more than the caller, as far as that can be decided:
 *
 * - For the caller itself, the key has no attribute that the caller lacks.
 * - For another principal, a rule must permit to `create` `principal::NAME`. Such a key may have any attributes.
 * - A caller authenticated by an API key gets no key for more models or APIs, or with a later expiry; and none at all where that key has
 *   limits, which a new one would start from zero.
 */
export function requireGrantable(policy: AccessPolicy, call: Call, grant: RequestedKey, expiryOfCallersKey: number | undefined): void {
  const caller = requirePrincipal(call)
  if (grant.principal !== caller.id) {
    // An owner that does not exist: neither "user is owner" nor "resource is unowned" permits it by accident.
    requirePermission(policy, call, 'create', { type: 'principal', id: grant.principal, owner: { id: '', attributes: {} } })
  } else {
    const more = firstMissing(grant.attributes, caller.attributes)
    if (more) throw exceedsCaller(grant.id, 'attributes', `it would have ${more}, which you do not have`)
  }
  const { key } = caller
  if (!key) return
  if (key.limits.length > 0) throw exceedsCaller(grant.id, null, 'your own key has limits, and the new one would have separate counts')
  const { allowedModels, allowedApis } = key
  if (allowedModels) {
    const wide = (grant.allowed_models ?? ['*']).find((pattern) => !allowedModels.some((own) => covers(own, pattern)))
    if (wide !== undefined) throw exceedsCaller(grant.id, 'allowed_models', `your own key may not use the models '${shortened(wide)}'`)
  }
  if (allowedApis) {
    const wide = grant.allowed_apis ? grant.allowed_apis.find((api) => !allowedApis.includes(api)) : 'every other one'
    if (wide !== undefined) throw exceedsCaller(grant.id, 'allowed_apis', `your own key may not use the API '${shortened(wide)}'`)
  }
  if (expiryOfCallersKey !== undefined && (grant.expires_at ?? Infinity) * 1000 > expiryOfCallersKey) {
    throw exceedsCaller(grant.id, 'expires_at', `your own key expires earlier, at ${new Date(expiryOfCallersKey).toISOString()}`)
  }
}

/**
 * Whether everything that matches `narrow` matches `wide` too. Only a star of `wide` matches a star of `narrow`, so `narrow` is matched as if it were
 * text.
 */
function covers(wide: string, narrow: string): boolean {
  return compileWildcard(wide)(narrow)
}

/** The first value that `input` has and `own` lacks, e.g. `roles 'admin'`. */
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
