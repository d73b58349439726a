import type { RoutePolicy } from '../../access/policy.ts'
import { ApiError, shortened } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

/**
 * Checks `route_policy`, whether the caller may use the route at all: with or without authentication, and of public routes too, as Llama Stack
 * does. Undefined where there is no policy.
 */
export function routePolicy(policy: RoutePolicy | undefined): Middleware | undefined {
  if (!policy) return undefined
  return (request, context, next) => {
    const { principal } = context
    const { method } = request
    const path = decoded(context.path)
    const decision = policy.decide({ principal, method, path })
    if (!decision.allowed) {
      throw new ApiError('permission_error', `Access denied: insufficient permissions for route ${shortened(path)}`, {
        code: 'route_not_permitted',
        denial: { by: 'route_policy', reason: decision.reason },
      })
    }
    return next(request, context)
  }
}

/** Rejects APIs that the caller's API key does not allow (`allowed_apis`). Undefined without authentication. */
export function allowedApis(isAuthenticated: boolean): Middleware | undefined {
  if (!isAuthenticated) return undefined
  return (request, context, next) => {
    const allowed = context.principal?.key?.allowedApis
    const api = context.match?.route.api
    if (allowed && api !== undefined && !allowed.includes(api)) {
      const which = allowed.length === 0 ? 'none' : allowed.join(', ')
      throw new ApiError('permission_error', `This API key is not allowed to use the API '${api}'. Allowed APIs: ${which}.`, {
        code: 'api_not_permitted',
        denial: { by: 'key', reason: `the key's APIs are: ${which}`, resource: `api::${api}` },
      })
    }
    return next(request, context)
  }
}

/** As it is where it cannot be decoded: no route takes that. */
function decoded(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
