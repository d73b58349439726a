import type { ApiError } from './errors.ts'
import { BodyBudget } from './http/body-budget.ts'
import { authenticate } from './http/middleware/authenticate.ts'
import { bodyLimits } from './http/middleware/body-limits.ts'
import { clientAddress } from './http/middleware/client-address.ts'
import { clientVersion } from './http/middleware/client-version.ts'
import { type ConnectionControl, RequestContext } from './http/middleware/context.ts'
import { cors } from './http/middleware/cors.ts'
import { deprecatedRoutes } from './http/middleware/deprecated-routes.ts'
import { findRoute } from './http/middleware/find-route.ts'
import { hostCheck, validHost } from './http/middleware/host-check.ts'
import { compose, type Middleware } from './http/middleware/middleware.ts'
import { originCheck } from './http/middleware/origin-check.ts'
import { legacyClients } from './http/middleware/legacy-clients.ts'
import { providerData } from './http/middleware/provider-data.ts'
import { requestQuota } from './http/middleware/request-quota.ts'
import { requestId } from './http/middleware/request-id.ts'
import { allowedApis, routePolicy } from './http/middleware/route-policy.ts'
import { activeRequestLimit } from './http/middleware/active-request-limit.ts'
import { ActiveRequests, requestLifecycle } from './http/middleware/request-lifecycle.ts'
import { strictTransport } from './http/middleware/strict-transport.ts'
import { trace } from './http/middleware/trace.ts'
import { createRouteFinder, mount } from './http/mount.ts'
import type { Services } from './services.ts'

/** The whole server as a function; needs no port. */
export interface App {
  /** Serves one request; never throws. Its `signal` aborts the work when the caller disconnects. */
  readonly fetch: (request: Request, connections?: ConnectionControl) => Promise<Response>
  /** Requests that are not complete, streams included. */
  readonly activeRequests: number
  /** From now on every response closes its connection. */
  closeConnections(): void
  /** Abandons requests whose body is not complete: they fail with `reason`. */
  abortUploads(reason: ApiError): void
  /** Aborts what still runs: it fails with `reason`, or ends its stream with it. */
  abort(reason: ApiError): void
}

/** What a request passes on its way, outermost first. A layer that is not configured is not there. */
export function createApp(services: Services): App {
  const { config, events, authentication, governance, routes, dialects } = services
  const { server } = config
  const finder = createRouteFinder(routes, dialects)
  const active = new ActiveRequests({ uploadIdle: server.uploadIdleTimeout * 1000 })
  const layers = [
    requestId(),
    strictTransport(server),
    trace(services.traceContexts),
    findRoute(finder),
    validHost(),
    clientAddress(server.trustedProxies),
    // The access line, the spans and the headers that layers add are in `requestLifecycle`, around all of these.
    cors(server.cors),
    activeRequestLimit(server.maxRunningRequests, () => active.count),
    hostCheck(server),
    originCheck(server.cors),
    bodyLimits(server.maxBodyBytes),
    authenticate({ authentication, docsNeedAuth: server.docsNeedAuth, metricsNeedAuth: !config.telemetry?.metrics.public }),
    deprecatedRoutes(events),
    routePolicy(config.routePolicy),
    allowedApis(authentication !== undefined),
    requestQuota(governance),
    providerData(),
    clientVersion(server.clientVersions),
    legacyClients(),
  ].filter((layer): layer is Middleware => layer !== undefined)

  services.metrics?.observe('http.server.active_requests', () => [{ labels: [server.tls ? 'https' : 'http'], value: active.count }])
  services.metrics?.observe('corral.streams.open', () => [{ labels: [], value: active.streams }])
  let draining = false
  const route = mount(routes, services, {
    find: finder,
    governedFields: services.governedFields,
    maxBodyBytes: server.maxBodyBytes,
    maxJsonMembers: server.maxJsonMembers,
  })
  const handle = requestLifecycle(compose(layers, route), {
    events,
    active,
    dialects,
    bodies: new BodyBudget(server.maxBufferedBodyBytes),
    stopping: () => draining,
  })
  return {
    fetch: (request, connections) => handle(request, new RequestContext(request, connections)),
    get activeRequests() {
      return active.count
    },
    closeConnections() {
      draining = true
    },
    abortUploads: (reason) => active.abortUploads(reason),
    abort: (reason) => active.abort(reason),
  }
}

/**
 * A `fetch` that calls this app instead of the network, for official clients. As with any fetch, it rejects once its signal aborts.
 */
export function fetchFrom(app: Pick<App, 'fetch'>): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  return async (input, init) => {
    const request = new Request(input, init)
    const response = await app.fetch(request)
    request.signal.throwIfAborted()
    return response
  }
}
