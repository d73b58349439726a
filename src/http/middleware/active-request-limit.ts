import { unavailable } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

/**
 * Refuses what would run beside `most` others, streams included, so that a flood ends in quick answers and not in a process without memory.
 * Bun has no limit on connections of its own. Public routes are answered all the same: a busy server is alive, and must not be restarted for it.
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
