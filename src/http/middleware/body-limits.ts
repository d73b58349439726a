import { rejectUnreadable } from '../body.ts'
import type { Middleware } from './middleware.ts'

/**
 * Refuses bodies that no route would read: a `content-encoding` that is not known (415), a `content-length` above the limit (413). What is
 * admitted is read and decoded by the mount, behind the layers that may refuse the caller (docs/decisions/0005-bodies-are-read-late.md).
 */
export function bodyLimits(maxBytes: number): Middleware {
  return (request, context, next) => {
    const route = context.match?.route
    if (route && !route.body) return next(request, context)
    return rejectUnreadable(request, route?.maxBodyBytes ?? maxBytes) ?? next(request, context)
  }
}
