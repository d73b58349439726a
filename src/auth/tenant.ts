import type { Principal } from '../call.ts'
import { toAttributes } from './claims.ts'
import type { Tenancy } from './config.ts'
import { CredentialRefused } from './refusal.ts'

/** The attribute that policies know the tenant by: `user with acme in tenants`, `user in owners tenants`. */
export const tenantAttribute = 'tenants'

/** In lower case, as tenants are compared. */
export const tenantPattern = /^[a-z0-9][a-z0-9_-]{0,127}$/

/**
 * Attributes with the tenant that an identity service or proxy reports, in lower case; nothing else sets the attribute then. Without `source`
 * (the name of the setting's claim, field or header) they stay as they are. Throws CredentialRefused for an invalid tenant id.
 */
export function withTenant(attributes: Principal['attributes'], source: string | undefined, value: unknown): Principal['attributes'] {
  if (source === undefined) return attributes
  const isAbsent = value === undefined || value === null || value === ''
  const tenant = typeof value === 'string' ? value.trim().toLowerCase() : ''
  if (!isAbsent && !tenantPattern.test(tenant)) {
    throw new CredentialRefused('The tenant of this credential is malformed', { reason: `'${source}' is not a valid tenant id` })
  }
  const others = Object.entries(attributes).filter(([name]) => name !== tenantAttribute)
  return toAttributes(isAbsent ? others : [...others, [tenantAttribute, [tenant]]])
}

/** What a tenancy makes of each principal that was recognised. Throws CredentialRefused for one without a tenant in the mode `multi`. */
export function tenantCheck(tenancy: Tenancy | undefined): (principal: Principal) => Principal {
  if (!tenancy) return (principal) => principal
  if (tenancy.mode === 'multi') {
    return (principal) => {
      if (Object.hasOwn(principal.attributes, tenantAttribute) && principal.attributes[tenantAttribute]?.length === 1) return principal
      throw new CredentialRefused('The credential has no tenant', { reason: 'no tenant, or several' })
    }
  }
  // Principals are remembered, and come again with each request.
  const known = new WeakMap<Principal, Principal>()
  return (principal) => {
    let result = known.get(principal)
    if (!result) {
      result = Object.freeze({ ...principal, attributes: withTenant(principal.attributes, 'default_tenant_id', tenancy.tenant) })
      known.set(principal, result)
    }
    return result
  }
}
