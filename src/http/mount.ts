import { RegExpRouter } from 'hono/router/reg-exp-router'
import { SmartRouter } from 'hono/router/smart-router'
import { TrieRouter } from 'hono/router/trie-router'
import type { z } from 'zod'
import type { Call } from '../call.ts'
import { ApiError, invalidRequest, shortened } from '../errors.ts'
import { defaultMaxBodyBytes, readJsonBody, type UploadWatch } from './body.ts'
import { parseQuery } from './query.ts'
import { pathOf } from './request-path.ts'
import { type AnyRoute, type Method, pathsOf } from './route.ts'
import { toInvalidRequest } from './validation-error.ts'

/** Answers one request whose `call` is known. Throws ApiError. */
export type Dispatch = (request: Request, call: Call & { readonly uploadWatch?: UploadWatch }) => Promise<Response>

export interface MountOptions {
  /** Largest request body in bytes, where the route does not say; default 32 MiB. */
  maxBodyBytes?: number
}

interface Match<Deps> {
  route: AnyRoute<Deps>
  /** As they stand in the path, not decoded. */
  params: Record<string, string>
}

const methods: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const noBytes = new Uint8Array()

/** Turns the list of routes into a function from request to answer: the one file that knows the router. */
export function mount<Deps>(routes: readonly AnyRoute<Deps>[], deps: Deps, options: MountOptions = {}): Dispatch {
  const find = createFinder(routes)
  const limit = options.maxBodyBytes ?? defaultMaxBodyBytes
  return async (request, call) => {
    const path = pathOf(request.url)
    const isHead = request.method === 'HEAD'
    const match = find(isHead ? 'GET' : request.method, path)
    if (!match)
      return answerWithoutRoute(
        request.method,
        path,
        methods.filter((method) => find(method, path)),
      )
    const { route } = match
    if (call.notes) call.notes.route = route.path
    const params = route.params ? parse(route.params, decodeParams(match.params)) : decodeParams(match.params)
    const query = route.query ? parse(route.query, parseQuery(request.url)) : {}
    const json = route.body && (await readJsonBody(request, route.maxBodyBytes ?? limit, call.uploadWatch))
    const body = route.body && parse(route.body, json?.value)
    const result = await route.handle({ params, query, body, bytes: json?.bytes ?? noBytes, call } as never, deps)
    const response = result instanceof Response ? result : Response.json(result)
    return isHead ? withoutBody(response) : response
  }
}

function createFinder<Deps>(routes: readonly AnyRoute<Deps>[]): (method: string, path: string) => Match<Deps> | undefined {
  const router = new SmartRouter<AnyRoute<Deps>>({ routers: [new RegExpRouter(), new TrieRouter()] })
  const entries = routes.flatMap((route) => pathsOf(route).map(({ path }) => ({ route, path })))
  // The router prefers what was added first, so whatever is more literal goes first and the order of the list does not matter.
  entries.sort((a, b) => variableness(a.path) - variableness(b.path))
  for (const { route, path } of entries) router.add(route.method, toRouterPath(path), route)
  return (method, path) => {
    const [[found], stash] = router.match(method, path)
    if (!found) return undefined
    const [route, indices] = found
    const params: Record<string, string> = {}
    for (const name in indices) {
      const at = indices[name]
      params[name] = typeof at === 'number' ? (stash?.[at] ?? '') : (at ?? '')
    }
    return { route, params }
  }
}

function variableness(path: string): number {
  return (path.match(/\{/g)?.length ?? 0) + (path.includes('+}') ? 100 : 0)
}

function toRouterPath(path: string): string {
  return path.replaceAll(/\{(\w+)\+\}/g, ':$1{.+}').replaceAll(/\{(\w+)\}/g, ':$1')
}

function decodeParams(params: Record<string, string>): Record<string, string> {
  const decoded: Record<string, string> = {}
  for (const name in params) {
    try {
      decoded[name] = decodeURIComponent(params[name] ?? '')
    } catch (error) {
      throw invalidRequest(`'${name}' in the path is not validly percent-encoded.`, { param: name, cause: error })
    }
  }
  return decoded
}

function answerWithoutRoute(method: string, path: string, served: readonly Method[]): Response {
  const shown = shortened(path)
  if (served.length === 0) throw new ApiError('not_found_error', `There is no ${method} ${shown} here.`, { code: 'unknown_url' })
  const allow = [...served, ...(served.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } })
  throw invalidRequest(`${shown} does not take ${method}, only ${allow}.`, { status: 405, code: 'method_not_allowed', headers: { allow } })
}

/** The answer to HEAD: the same head, and nothing left running. */
async function withoutBody(response: Response): Promise<Response> {
  const headers = new Headers(response.headers)
  const streams = headers.get('content-type')?.startsWith('text/event-stream') ?? false
  if (streams || headers.has('content-length')) await response.body?.cancel()
  else headers.set('content-length', String((await response.arrayBuffer()).byteLength))
  return new Response(null, { status: response.status, headers })
}

function parse(schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw toInvalidRequest(result.error, value)
}
