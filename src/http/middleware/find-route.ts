import type { RouteFinder } from '../mount.ts'
import { rawPathOf } from '../request-path.ts'
import type { Middleware } from './middleware.ts'

/**
 * Looks up which route is asked for. It runs last, but what stands before it goes by it: whether it is public, what it takes, which API it
 * belongs to; and the log names it of a refused request too. Looking tells the caller nothing.
 */
export function findRoute(find: RouteFinder): Middleware {
  return (request, context, next) => {
    const found = find(request.method, context.path, rawPathOf(request.url)) ?? null
    context.match = found
    if (found) context.route = found.route.path
    return next(request, context)
  }
}
