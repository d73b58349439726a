import type { z } from 'zod'
import type { Call } from '../call.ts'
import type { Dialect } from '../dialects/dialect.ts'
import type { Operation } from '../operations/operation.ts'
import type { Members } from '../wire/json-scan.ts'
import type { MultipartLimits } from './multipart.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** The response with one status. */
export interface ResponseSpec {
  description: string
  /** The body of an `application/json` response. */
  json?: z.ZodType
  /** The data of one event of a `text/event-stream` response. */
  events?: z.ZodType
  /** Any other media type, e.g. `text/html`. */
  text?: string
  /** The media type of bytes, e.g. `application/octet-stream`: a handler that returns `ByteContent`. */
  bytes?: string
}

interface RouteInput<Params, Query, Body> {
  params: Params
  query: Query
  /** The validated body. */
  body: Body
  /** The body's own bytes, decoded; empty when the route takes none. */
  bytes: Uint8Array
  /** The top-level members of a JSON body in `bytes`; none where the route takes none. */
  members: Members
  /** The request's. */
  headers: Headers
  /** The request's, as it was sent. */
  url: string
  call: Call
  /** Of the response. */
  dialect: Dialect
}

/** A route as data: validation, OpenAPI, docs, policy look-up and metrics labels are folds over the list of these. */
interface RouteDefinition<
  Deps,
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
> {
  method: Method
  /** OpenAPI's form. `{model_id+}` is a rest that may contain slashes (shown as `{model_id}`). */
  path: `/${string}`
  /** Further paths, equal to it. */
  equivalents?: readonly `/${string}`[]
  /** Further paths, served alike and marked deprecated. */
  aliases?: readonly `/${string}`[]
  /** The API it belongs to, as `apis:` in the configuration names it. */
  api: string
  operationId: string
  /** OpenAI's tag where it is OpenAI's route. */
  tag: string
  summary: string
  description?: string
  /** Needs no credential; `docs` and `metrics`: where the configuration makes the reference, or the metrics, public. */
  public?: boolean | 'docs' | 'metrics'
  /** Of its errors and streams. Default: the dialect of the path. */
  dialect?: Dialect
  /** What its requests ask of a model. Their governed fields are checked, and metrics are by model. Absent: it is not for models. */
  operation?: Operation
  /** Whether request limits count it. Default: every route that needs a credential. */
  counted?: boolean
  deprecated?: boolean
  params?: Params
  query?: Query
  body?: Body
  /** The body is a `multipart/form-data` form, of which `body` is the schema (`uploadedFile()` for its files), and not JSON. */
  multipart?: MultipartLimits
  /** Largest body in bytes; the server's limit when absent. */
  maxBodyBytes?: number
  /** Top-level fields of a JSON body that may have 64 kB each: they hold a few names, which are looked up or stored one by one. */
  smallFields?: readonly string[]
  responses: Readonly<Record<number, ResponseSpec>>
  /** Statuses of errors beside those that follow from the rest, for the document. */
  errors?: readonly number[]
  /** Returns a Response, ByteContent (ranges and conditions are handled), or a value that is sent as JSON with status 200. Throws ApiError. */
  handle(input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>>, deps: Deps): Promise<Response | object> | Response | object
}

// A list holds routes of every shape; each was checked against its own schemas where it was defined.
export type AnyRoute<Deps> = Omit<RouteDefinition<Deps>, 'handle'> & {
  handle(input: RouteInput<never, never, never>, deps: Deps): Promise<Response | object> | Response | object
}

/** `const defineRoute = routesFor<Deps>()`: routes whose handlers get `Deps`. */
export function routesFor<Deps>() {
  return <Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType>(
    route: RouteDefinition<Deps, Params, Query, Body>,
  ): AnyRoute<Deps> => route
}

/** Whether limits on requests apply to a route; not to a path without a route. */
export function isCounted(route: Pick<AnyRoute<never>, 'counted' | 'public'> | undefined): boolean {
  return route !== undefined && (route.counted ?? !route.public)
}

/** A path of a route. */
export interface ServedPath {
  path: string
  deprecated: boolean
}

/** Every path of `route`, its own first. */
export function pathsOf(route: Pick<AnyRoute<never>, 'path' | 'equivalents' | 'aliases' | 'deprecated'>): ServedPath[] {
  const paths = new Map([[route.path as string, route.deprecated ?? false]])
  for (const path of route.equivalents ?? []) paths.set(path, route.deprecated ?? false)
  for (const alias of route.aliases ?? []) paths.set(alias, true)
  return [...paths].map(([path, deprecated]) => ({ path, deprecated }))
}
