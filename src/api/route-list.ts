import { pathsOf, type AnyRoute } from '../http/route.ts'
import type { ProviderRegistry } from '../registry/providers.ts'
import type { RouteInfo } from '../schemas/inspect.ts'

type ApiFilter = 'v1' | 'v1alpha' | 'v1beta' | 'deprecated'

/** The API's routes: those of one level, those that are deprecated, or (without a filter) all that are not. */
export function listRoutes<Deps>(
  routes: readonly AnyRoute<Deps>[],
  providers: ProviderRegistry,
  filter: ApiFilter | undefined,
): RouteInfo[] {
  return routes
    .flatMap((route) => pathsOf(route).map(({ path, deprecated }) => ({ route, path, deprecated })))
    .filter(({ path, deprecated }) =>
      filter === 'deprecated' ? deprecated : !deprecated && path.startsWith(filter ? `/${filter}/` : '/v1'),
    )
    .map(({ route, path }) => ({
      route: path.replaceAll('+}', '}'),
      method: route.method,
      provider_types: [...new Set(providers.all.filter(({ api }) => api === route.api).map(({ type }) => type))],
    }))
}
