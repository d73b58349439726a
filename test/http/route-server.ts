import { dialects } from '../../src/dialects/index.ts'
import { ApiError } from '../../src/errors.ts'
import { BodyBudget } from '../../src/http/body-budget.ts'
import { bodyLimits } from '../../src/http/middleware/body-limits.ts'
import { RequestContext } from '../../src/http/middleware/context.ts'
import { findRoute } from '../../src/http/middleware/find-route.ts'
import { compose } from '../../src/http/middleware/middleware.ts'
import { ActiveRequests, requestLifecycle } from '../../src/http/middleware/request-lifecycle.ts'
import { createRouteFinder, mount } from '../../src/http/mount.ts'
import type { AnyRoute } from '../../src/http/route.ts'
import { listen } from '../../src/runtime/serve.ts'

export interface RouteServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly active: ActiveRequests
  /** Errors of requests that are over, and what failed in their streams. */
  readonly failures: unknown[]
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Routes on a free loopback port, with the request lifecycle and body limits and no other middleware. */
export function serveRoutes(
  routes: readonly AnyRoute<undefined>[],
  { uploadIdle, uploadFolder }: { uploadIdle?: number; uploadFolder?: string } = {},
): RouteServer {
  const find = createRouteFinder(routes)
  const active = new ActiveRequests(uploadIdle === undefined ? {} : { uploadIdle })
  const failures: unknown[] = []
  const dispatch = mount(routes, undefined, { find, ...(uploadFolder !== undefined && { uploadFolder }) })
  const handle = requestLifecycle(compose([findRoute(find), bodyLimits(32 * 1024 * 1024)], dispatch), {
    active,
    bodies: new BodyBudget(1024 * 1024 * 1024),
    stopping: () => false,
    dialects,
    events: {
      requestStarted: () => undefined,
      requestFinished: ({ error, failure }) => void (error === undefined && failure === undefined ? 0 : failures.push(error ?? failure)),
    },
  })
  const listener = listen({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, connections) => handle(request, new RequestContext(request, connections)),
  })
  const url = `http://127.0.0.1:${listener.port}`
  return {
    url,
    port: listener.port,
    active,
    failures,
    fetch: (path, init) => globalThis.fetch(url + path, init),
    async [Symbol.asyncDispose]() {
      active.abort(new ApiError('service_unavailable_error', 'The server is shutting down.'))
      await listener.stop()
    },
  }
}
