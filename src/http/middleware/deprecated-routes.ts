import type { Call } from '../../call.ts'
import type { Events } from '../../telemetry/events.ts'
import type { RequestContext } from './context.ts'
import type { Middleware } from './middleware.ts'
import { BoundedMap } from '../../bounded-map.ts'

/** 2025-11-03, when Llama Stack removed its older paths: Unix seconds, as RFC 9745 §2 writes them. */
const deprecatedSince = '@1762128000'
/** Callers that are remembered; the one whose warning is oldest is forgotten first. */
const maxRemembered = 1000

/**
 * Marks responses on deprecated paths by `deprecation` (RFC 9745) and, where there is one, `link` to the path's successor; and logs it once for each
 * caller and route. Runs after authentication, so that the principal is known.
 */
export function deprecatedRoutes(events: Pick<Events, 'warning'>): Middleware {
  const warned = new BoundedMap<string, true>(maxRemembered)
  return (request, context, next) => {
    if (context.match?.deprecated) warn(context)
    return next(request, context)
  }

  function warn(context: RequestContext): void {
    const successor = successorOf(context)
    context.responseHeaders.push('deprecation', deprecatedSince)
    if (successor !== undefined) context.responseHeaders.push('link', `<${successor}>; rel="successor-version"`)
    const key = `${callerOf(context)} ${context.route}`
    if (warned.has(key)) return
    warned.set(key, true)
    const { requestId, principal, clientAddress, route } = context
    const fields = { request_id: requestId, route, principal: principal?.id, client_address: clientAddress, successor: successor && route }
    events.warning('deprecated route used', fields)
  }
}

function callerOf({ principal, clientAddress }: Pick<Call, 'principal' | 'clientAddress'>): string {
  return principal ? `principal ${principal.id}` : `address ${clientAddress ?? ''}`
}

/** The path that replaces it; undefined where there is none that can be written down. */
function successorOf({ path, match: found }: RequestContext): string | undefined {
  if (found?.successorStart !== undefined) return path.slice(found.successorStart)
  const route = found?.route
  return route && !route.deprecated && !route.path.includes('{') ? route.path : undefined
}
