import type { Principal } from '../call.ts'
import { ApiError, type Denial, notFound, shortened } from '../errors.ts'
import type { Action, Decision, AccessRequest, Resource } from './policy.ts'

/** For the log: who refused what. */
export function denialOf(decision: Decision, action: Action, resource: Resource): Denial {
  return { by: 'access_policy', reason: decision.reason, action, resource: shortened(`${resource.type}::${resource.id}`) }
}

/** What the caller may see and not do: 403, in Llama Stack's words. */
export function accessDenied({ principal, action, resource }: AccessRequest, decision: Decision): ApiError {
  const what = shortened(`${resource.type}::${resource.id}`)
  const message = principal
    ? `User ${describePrincipal(principal)} cannot perform action '${action}' on resource '${what}'`
    : 'Insufficient permissions'
  return new ApiError('permission_error', message, { code: 'access_denied', denial: denialOf(decision, action, resource) })
}

/** What does not exist or is not visible to the caller, which only the log distinguishes: 404. `kind` names it for people, e.g. `API key`. */
export function notVisible(kind: string, id: string, denial?: Denial): ApiError {
  return notFound(kind, id, denial ? { denial } : {})
}

/** The caller with its own attributes: `'alice' (attributes: roles=['admin'], teams=['a', 'b'])`. */
function describePrincipal({ id, attributes }: Principal): string {
  const pairs = Object.entries(attributes).map(([name, values]) => `${name}=[${values.map((value) => `'${value}'`).join(', ')}]`)
  const name = `'${shortened(id)}'`
  return pairs.length === 0 ? name : `${name} (attributes: ${shortened(pairs.join(', '), 500)})`
}
