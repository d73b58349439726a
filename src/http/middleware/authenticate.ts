import type { Authentication } from '../../auth/authenticator.ts'
import type { AnyRoute } from '../route.ts'
import type { RequestContext } from './context.ts'
import type { Middleware, Next } from './middleware.ts'

interface AuthenticateOptions {
  /** Absent: no credential is required. */
  readonly authentication: Authentication | undefined
  /** Whether the reference page and the OpenAPI document require a credential. */
  readonly docsNeedAuth: boolean
  /** Whether the metrics require one. */
  readonly metricsNeedAuth: boolean
}

/**
 * Sets `context.principal`. Every path requires a credential, unknown ones included, except public routes. Costs no promise where the result
 * is in memory. Undefined where there is no authentication.
 */
export function authenticate({ authentication, docsNeedAuth, metricsNeedAuth }: AuthenticateOptions): Middleware | undefined {
  if (!authentication) return undefined
  const open = new Set<AnyRoute<never>['public']>([true])
  if (!docsNeedAuth) open.add('docs')
  if (!metricsNeedAuth) open.add('metrics')
  return (request, context, next) => {
    // Methods without a route are not public either: only a route can be marked public.
    if (open.has(context.match?.route.public)) return next(request, context)
    const principal = authentication.authenticate(context)
    if (principal instanceof Promise) return authenticated(principal, context, next)
    context.principal = principal
    return next(request, context)
  }
}

async function authenticated(pending: ReturnType<Authentication['authenticate']>, context: RequestContext, next: Next): Promise<Response> {
  context.principal = await pending
  return next(context.request, context)
}
