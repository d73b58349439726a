import { ApiError } from '../../errors.ts'
import type { AdmittedRequest, Governance } from '../../quota/governance.ts'
import type { RequestContext } from './context.ts'
import type { Middleware, Next } from './middleware.ts'

/**
 * Counts each request against the limits of its caller, and holds a place among those that run at once until it is over, streams until their
 * end. Stands behind authentication and the route policy: whom they refuse is not counted. Neither is what `isCounted` leaves out, nor what is
 * refused for want of quota, nor what this server or a provider fails (5xx). Costs no promise where the limits are at hand. Undefined where
 * nothing can be limited.
 */
export function requestQuota(governance: Pick<Governance, 'admitRequest'> | undefined): Middleware | undefined {
  if (!governance) return undefined
  return (request, context, next) => {
    if (request.method === 'OPTIONS' || !isCounted(context.match)) return next(request, context)
    const admitted = governance.admitRequest(context, context.responseHeaders)
    if (admitted instanceof Promise) return proceedWhenAdmitted(admitted, context, next)
    if (admitted) settleAtEnd(context, admitted)
    return next(request, context)
  }
}

/**
 * Not what no route answers, and not public routes. Nor what an operator works with: a used-up limit must keep nobody from revoking a key, and no
 * monitor from seeing that it is used up. Policies say who may use those.
 */
function isCounted(found: RequestContext['match']): boolean {
  if (!found || found.route.public) return false
  const { path } = found.route
  return !path.startsWith('/v1alpha/admin/')
}

async function proceedWhenAdmitted(pending: Promise<AdmittedRequest | undefined>, context: RequestContext, next: Next): Promise<Response> {
  const admitted = await pending
  if (admitted) settleAtEnd(context, admitted)
  return next(context.request, context)
}

function settleAtEnd(context: RequestContext, admitted: AdmittedRequest): void {
  context.settleQuota = ({ status, error }) => {
    const isRefused = error instanceof ApiError && error.denial?.by === 'quota'
    admitted.settle(!isRefused && status < 500)
  }
}
