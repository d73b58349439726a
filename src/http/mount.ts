import { RegExpRouter } from 'hono/router/reg-exp-router'
import { SmartRouter } from 'hono/router/smart-router'
import { TrieRouter } from 'hono/router/trie-router'
import type { z } from 'zod'
import type { Call } from '../call.ts'
import { type Dialect, dialectOfPath, formatOf } from '../dialects/dialect.ts'
import { dialects as allDialects } from '../dialects/index.ts'
import { ApiError, invalidRequest, shortened } from '../errors.ts'
import { type SchemaParser, parserOf } from '../schemas/parser.ts'
import type { WireFormat } from '../operations/wire-format.ts'
import { Members } from '../wire/json-scan.ts'
import { type BodyLimits, defaultMaxBodyBytes, defaultMaxMembers, readJsonBody, type UploadObserver } from './body.ts'
import { ByteContent, byteResponse } from './byte-response.ts'
import { GovernedFields } from './governed-fields.ts'
import { toSmallFields } from './large-fields.ts'
import type { MultipartForm, MultipartOptions } from './multipart.ts'
import { parseQuery } from './query.ts'
import { routingPath, rawPathOf } from './request-path.ts'
import { type AnyRoute, type Method, pathsOf, type ServedPath } from './route.ts'
import { toInvalidRequest } from './validation-error.ts'

/** The route of a request. */
export interface RouteMatch<Deps = never> {
  readonly route: AnyRoute<Deps>
  /** As in the path, not decoded. */
  readonly params: Readonly<Record<string, string>>
  /** Whether callers should use another path, or another route. */
  readonly deprecated?: boolean
  /** Where the current path begins in a deprecated one that only has a prefix before it. */
  readonly successorStart?: number | undefined
  /** Of the response. */
  readonly dialect: Dialect
}

/**
 * Finds the route of a request; HEAD is served by GET's route. Pure, and the one place that decides it. `path` has single slashes; `rawPath` is as it was sent,
 * for a parameter at the end that takes several segments: the id of a model may hold doubled slashes (`vllm//models/llama`, `hf://owner/model`).
 */
export type RouteFinder<Deps = never> = (method: string, path: string, rawPath?: string) => RouteMatch<Deps> | undefined

export interface DispatchedCall extends Call {
  readonly uploadObserver?: UploadObserver
  /** The result of the same finder, where it has been called before; null: there is no such route. */
  readonly match?: RouteMatch | null | undefined
}

/** Serves one request whose `call` is known. Throws ApiError. */
type Dispatch = (request: Request, call: DispatchedCall) => Promise<Response>

interface MountOptions<Deps> {
  /** Largest request body in bytes, where the route does not say; default 32 MiB. */
  maxBodyBytes?: number
  /** Most object members in a request body; default 100,000. */
  maxJsonMembers?: number
  /** Where the files of forms are written meanwhile. Default: the system's folder for temporary files. */
  uploadFolder?: string
  /** Governed fields of requests to models, beside those of their formats. */
  governedFields?: readonly string[]
  /** The finder of these routes, where there is one already. */
  find?: RouteFinder<Deps>
}

const methods: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const noBytes = new Uint8Array()
const noMembers = new Members()

/** Turns the list of routes into a function from request to response: the only file that knows the router. */
export function mount<Deps>(routes: readonly AnyRoute<Deps>[], deps: Deps, options: MountOptions<Deps> = {}): Dispatch {
  const find = options.find ?? createRouteFinder(routes)
  const limitsOf = memoized((route: AnyRoute<Deps>): BodyLimits => ({
    bytes: route.maxBodyBytes ?? options.maxBodyBytes ?? defaultMaxBodyBytes,
    members: options.maxJsonMembers ?? defaultMaxMembers,
    smallFields: toSmallFields(route.smallFields),
  }))
  const parserFor = memoized<z.ZodType, SchemaParser>(parserOf)
  const governedFieldsOf = memoized(
    (format: WireFormat) => new GovernedFields([...format.governedFields, ...(options.governedFields ?? [])]),
  )
  const readForm = createFormReader()
  return async (request, call) => {
    const found = call.match === undefined ? findFor(request, find) : (call.match as RouteMatch<Deps> | null)
    if (!found) return respondWithoutRoute(request, find)
    const { route, dialect } = found
    if (call.record) call.record.route = route.path
    const params = route.params ? parse(parserFor(route.params), decodeParams(found.params)) : decodeParams(found.params)
    const query = route.query ? parse(parserFor(route.query), parseQuery(request.url)) : {}
    const bodyLimits = limitsOf(route)
    const form =
      route.multipart &&
      (await readForm(request, {
        limits: route.multipart,
        maxBytes: bodyLimits.bytes,
        observer: call.uploadObserver,
        folder: options.uploadFolder,
      }))
    const json = route.body && !form ? await readJsonBody(request, bodyLimits, call.uploadObserver) : undefined
    if (json && route.operation) governedFieldsOf(formatOf(route.operation, dialect)).check(json.value, json.bytes, json.outline)
    if (call.record && (json || form)) call.record.requestBytes = json?.bytes.length ?? form?.bytes
    try {
      const body = route.body && parse(parserFor(route.body), json ? json.value : form?.value)
      const result = await route.handle(
        {
          params,
          query,
          body,
          bytes: json?.bytes ?? noBytes,
          members: json?.outline.top ?? noMembers,
          headers: request.headers,
          url: request.url,
          call,
          dialect,
        } as never,
        deps,
      )
      return result instanceof ByteContent ? await byteResponse(result, request, call) : respond(result, request)
    } catch (error) {
      // For the log: the request may not have reached a provider.
      if (json && call.record) call.record.failedBody = json.value
      throw error
    } finally {
      if (form) await form[Symbol.asyncDispose]()
    }
  }
}

function findFor<Deps>({ method, url }: Request, find: RouteFinder<Deps>): RouteMatch<Deps> | undefined {
  return find(method, routingPath(url), rawPathOf(url))
}

function respond(result: Response | object, { method }: Request): Response | Promise<Response> {
  const response = result instanceof Response ? result : Response.json(result)
  return method === 'HEAD' ? withoutBody(response) : response
}

/** The parser of forms is loaded with the first of them, which also has the files of killed processes deleted. */
function createFormReader(): (request: Request, options: MultipartOptions) => Promise<MultipartForm> {
  let isFirst = true
  return async (request, options) => {
    const { readMultipart, removeAbandonedUploads } = await import('./multipart.ts')
    if (isFirst) void removeAbandonedUploads(options.folder)
    isFirst = false
    return await readMultipart(request, options)
  }
}

/** Each value is made when it is first needed. */
function memoized<Key, Value extends object>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new Map<Key, Value>()
  return (key) => {
    let value = known.get(key)
    if (!value) known.set(key, (value = make(key)))
    return value
  }
}

interface RouteEntry<Deps> {
  readonly route: AnyRoute<Deps>
  readonly path: string
  readonly deprecated: boolean
  readonly successorStart: number | undefined
  readonly dialect: Dialect
}

export function createRouteFinder<Deps>(routes: readonly AnyRoute<Deps>[], dialects = allDialects): RouteFinder<Deps> {
  const router = new SmartRouter<RouteEntry<Deps>>({ routers: [new RegExpRouter(), new TrieRouter()] })
  const entries = routes.flatMap((route) =>
    pathsOf(route).map(({ path, deprecated }, _, all) => ({
      route,
      path,
      deprecated,
      successorStart: successorStartIn(path, all),
      dialect: route.dialect ?? dialectOfPath(path, dialects),
    })),
  )
  // The router prefers what was added first, so more literal paths go first, and the order of the list does not matter.
  entries.sort((a, b) => parameterWeight(a.path) - parameterWeight(b.path))
  for (const entry of entries) router.add(entry.route.method, toRouterPath(entry.path), entry)
  return (method, path, rawPath = path) => {
    const [[found], stash] = router.match(method === 'HEAD' ? 'GET' : method, path)
    if (!found) return undefined
    const [{ route, path: routePath, deprecated, successorStart, dialect }, indices] = found
    const params: Record<string, string> = {}
    for (const name in indices) {
      const at = indices[name]
      params[name] = typeof at === 'number' ? (stash?.[at] ?? '') : (at ?? '')
    }
    if (rawPath !== path) Object.assign(params, lastParamIn(rawPath, routePath))
    return { route, params, deprecated, successorStart, dialect }
  }
}

/** Where the longest other path of a route begins at the end of `path`. */
function successorStartIn(path: string, paths: readonly ServedPath[]): number | undefined {
  const starts = paths.filter((other) => other.path !== path && path.endsWith(other.path)).map((other) => path.length - other.path.length)
  return starts.length > 0 ? Math.min(...starts) : undefined
}

/** The parameter at the end of `routePath` that takes several segments, as `rawPath` has it. */
function lastParamIn(rawPath: string, routePath: string): Record<string, string> {
  const segments = routePath.split('/').slice(1)
  const name = /^\{(\w+)\+\}$/.exec(segments.pop() ?? '')?.[1]
  if (name === undefined) return {}
  let start = 0
  for (let passed = 0; passed <= segments.length; passed += 1) {
    start = rawPath.indexOf('/', start) + 1
    if (passed < segments.length) while (rawPath[start] === '/') start += 1
  }
  return { [name]: rawPath.slice(start) }
}

function parameterWeight(path: string): number {
  return (path.match(/\{/g)?.length ?? 0) + (path.includes('+}') ? 100 : 0)
}

function toRouterPath(path: string): string {
  return path.replaceAll(/\{(\w+)\+\}/g, ':$1{.+}').replaceAll(/\{(\w+)\}/g, ':$1')
}

function decodeParams(params: Readonly<Record<string, string>>): Record<string, string> {
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

function respondWithoutRoute({ method, url }: Request, find: RouteFinder<unknown>): Response {
  const path = routingPath(url)
  const served = methods.filter((one) => find(one, path))
  const shown = shortened(path)
  if (served.length === 0) throw new ApiError('not_found_error', `Unknown endpoint: ${method} ${shown}.`, { code: 'unknown_url' })
  const allow = [...served, ...(served.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } })
  throw invalidRequest(`Method ${method} is not allowed for ${shown}. Allowed: ${allow}.`, {
    status: 405,
    code: 'method_not_allowed',
    headers: { allow },
  })
}

/** The response to HEAD: the same head, with the body cancelled. */
async function withoutBody(response: Response): Promise<Response> {
  const headers = new Headers(response.headers)
  const streams = headers.get('content-type')?.startsWith('text/event-stream') ?? false
  if (streams || headers.has('content-length')) await response.body?.cancel()
  else headers.set('content-length', String((await response.arrayBuffer()).byteLength))
  return new Response(null, { status: response.status, headers })
}

function parse(parser: SchemaParser, value: unknown): unknown {
  const result = parser(value)
  if (result.success) return result.data
  throw toInvalidRequest(result.error, value)
}
