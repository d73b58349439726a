import type { RouteFinder } from '../mount.ts'
import { rawPathOf } from '../request-path.ts'
import type { Middleware } from './middleware.ts'

/**
 * Looks up the route. It runs last, but the layers before it depend on it: whether it is public, what body it takes, which API it belongs to;
 * and the log names it for rejected requests too. The look-up reveals nothing to the caller.
 */
export function findRoute(find: RouteFinder): Middleware {
  return (request, context, next) => {
    const found = find(request.method, context.path, rawPathOf(request.url)) ?? null
    context.match = found
    if (found) context.route = found.route.path
    return next(request, context)
  }
}
