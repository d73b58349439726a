import { ApiError } from '../../errors.ts'
import type { AdmittedRequest, Governance } from '../../quota/governance.ts'
import { isCounted } from '../route.ts'
import type { RequestContext } from './context.ts'
import type { Middleware, Next } from './middleware.ts'

/**
 * Counts each request against the limits of its caller, and holds a slot of its concurrency limit until the request is complete: a stream until its
 * end. It runs after authentication and the route policy, so requests that they refuse are not counted. Also not counted: routes with
 * `counted: false`, requests refused for lack of quota, and failures of this server or a provider (5xx). Costs no promise where the
 * limits are in memory. Undefined where nothing is limited.
 */
export function requestQuota(governance: Pick<Governance, 'admitRequest'> | undefined): Middleware | undefined {
  if (!governance) return undefined
  return (request, context, next) => {
    if (request.method === 'OPTIONS' || !isCounted(context.match?.route)) return next(request, context)
    const admitted = governance.admitRequest(context, context.responseHeaders)
    if (admitted instanceof Promise) return proceedWhenAdmitted(admitted, context, next)
    if (admitted) settleAtEnd(context, admitted)
    return next(request, context)
  }
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
