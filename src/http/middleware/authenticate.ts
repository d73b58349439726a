import type { Authentication } from '../../auth/authenticator.ts'
import type { AnyRoute } from '../route.ts'
import type { RequestContext } from './context.ts'
import type { Middleware, Next } from './middleware.ts'

export interface AuthenticateOptions {
  /** Absent: nobody has to authenticate. */
  readonly authentication: Authentication | undefined
  /** Whether the reference page and the OpenAPI document want a credential. */
  readonly docsNeedAuth: boolean
  /** Whether the metrics want one. */
  readonly metricsNeedAuth: boolean
}

/**
 * Finds out who is asking: `context.principal`. Every path wants a credential, unknown ones included, but for routes that say they are
 * public. Costs no promise where the answer is at hand. Undefined where there is no authentication.
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
