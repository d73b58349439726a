import { ApiError, shortened } from '../../errors.ts'
import { type CorsPolicy, originMatcher } from './cors.ts'
import type { Middleware } from './middleware.ts'

/**
 * Against web pages that spend the operator's keys: a browser sends some requests of any page without asking first, and what they start
 * is done although the page cannot read the response. So a request that a page of another origin sent (`Origin`, or `Sec-Fetch-Site` where
 * there is none) is refused unless CORS allows that origin. Programs send neither header. What changes nothing (GET, HEAD, OPTIONS) passes.
 */
export function originCheck(policy: CorsPolicy | undefined): Middleware {
  const allows = originMatcher(policy)
  return (request, context, next) => {
    const { method, headers } = request
    if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return next(request, context)
    const origin = headers.get('origin')
    const site = headers.get('sec-fetch-site')
    if (origin === null && site === null) return next(request, context)
    // A proxy in front may have given the request another Host; pages cannot set this header.
    if (site === 'same-origin') return next(request, context)
    const isCrossOrigin = site === 'cross-site' || site === 'same-site'
    if (origin === null ? site === 'none' : allows(origin) || (!isCrossOrigin && isOwn(origin, request))) return next(request, context)
    const reason = origin === null ? 'cross-site request without an origin' : `origin '${shortened(origin, 100)}' is not allowed`
    throw new ApiError(
      'permission_error',
      origin === null
        ? 'Cross-site requests without an Origin header are not allowed.'
        : `Origin '${shortened(origin, 100)}' is not allowed. To allow it, add it to server.cors.allow_origins.`,
      {
        code: 'origin_not_allowed',
        denial: { by: 'origin', reason },
      },
    )
  }
}

/** The origin of the very address that was called. A page that came over plain HTTP is not that of an HTTPS server. */
function isOwn(origin: string, request: Request): boolean {
  const host = request.headers.get('host')
  if (host === null) return false
  const start = origin.indexOf('://') + 3
  if (start < 3 || (request.url.startsWith('https:') && !origin.startsWith('https:'))) return false
  return origin.length - start === host.length && origin.slice(start).toLowerCase() === host.toLowerCase()
}
