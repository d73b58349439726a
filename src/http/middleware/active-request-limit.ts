import { unavailable } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

/**
 * Rejects requests beyond `limit` concurrent ones, streams included, so that a flood gets quick responses and does not exhaust memory: Bun does
 * not limit connections. Public routes are served nevertheless: a busy server is alive, and must not be restarted for it.
 */
export function activeRequestLimit(limit: number, activeRequests: () => number): Middleware {
  return (request, context, next) => {
    if (activeRequests() > limit && context.match?.route.public !== true) {
      throw unavailable('Too many concurrent requests on this server (server.max_running_requests). Try again later.', 1, {
        code: 'too_many_running_requests',
      })
    }
    return next(request, context)
  }
}
