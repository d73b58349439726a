import type { z } from 'zod'
import { type Dialect, dialectOfPath } from '../dialects/dialect.ts'
import { dialects as allDialects } from '../dialects/index.ts'
import { type OpenApiSchema, SchemaCollector } from './json-schema.ts'
import { type AnyRoute, pathsOf, type ResponseSpec } from './route.ts'

interface OpenApiInfo {
  title: string
  version: string
  description: string
}

/** Deprecated paths are together at the end of the reference page. */
const legacyTag = 'Deprecated paths'

type AnyRoutes = readonly AnyRoute<never>[]

/** The OpenAPI 3.1 document of a list of routes. Takes some milliseconds: make it once, on first use. */
export function createOpenApi<Deps>(routes: readonly AnyRoute<Deps>[], info: OpenApiInfo, dialects = allDialects): object {
  const schemas = new SchemaCollector()
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes as unknown as AnyRoutes) {
    for (const { path, deprecated } of pathsOf(route)) {
      const errorSuffix = suffixOf(route.dialect ?? dialectOfPath(path, dialects), dialects)
      const operation = toOperation(route, schemas, errorSuffix)
      const at = (paths[path.replaceAll('+}', '}')] ??= {})
      const operationId = path === route.path ? route.operationId : `${route.operationId}_${nameOf(path)}`
      at[route.method.toLowerCase()] = { ...operation, operationId, ...(deprecated && { tags: [legacyTag], deprecated }) }
    }
  }
  const used = new Set(routes.flatMap((route) => Object.keys(errorsOf(route, ''))))
  const errors = Object.fromEntries(
    dialects.flatMap((dialect) =>
      Object.entries(errorResponses)
        .filter(([status]) => used.has(status))
        .map(([status, { name, description }]) => [
          name + suffixOf(dialect, dialects),
          {
            description: `${description} (${status})`,
            content: { 'application/json': { schema: schemas.add(dialect.errorSchema, 'output') } },
          },
        ]),
    ),
  )
  const components = { responses: errors, securitySchemes }
  return {
    openapi: '3.1.0',
    info,
    // Relative to the document's own address, so that it holds behind a proxy that serves this server under a path.
    servers: [{ url: '.' }],
    tags: [...new Set(routes.map(({ tag }) => tag)), legacyTag].map((name) => ({ name })),
    security: [{ bearer: [] }, { apiKey: [] }, { googleApiKey: [] }, {}],
    paths,
    components: { schemas: schemas.reachable({ paths, components }), ...components },
  }
}

/** What the names of a dialect's error responses end with: nothing for the first dialect of the list. */
function suffixOf(dialect: Dialect, dialects: readonly Dialect[]): string {
  return dialect === dialects[0] ? '' : `_${dialect.name}`
}

function nameOf(path: string): string {
  return path.replaceAll(/[^a-zA-Z0-9]+/g, '_').replaceAll(/^_|_$/g, '')
}

function toOperation(route: AnyRoute<never>, schemas: SchemaCollector, errorSuffix: string): object {
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description && { description: route.description }),
    ...(route.public === true && { security: [] }),
    ...withEntries('parameters', [...pathParameters(route, schemas), ...queryParameters(route, schemas)]),
    ...(route.body && {
      requestBody: {
        required: true,
        content: { [route.multipart ? 'multipart/form-data' : 'application/json']: { schema: schemas.add(route.body, 'input') } },
      },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(responsesOf(route)).map(([status, response]) => [status, toResponse(response, schemas)])),
      ...errorsOf(route, errorSuffix),
    },
  }
}

function withEntries(name: string, entries: object[]): object {
  return entries.length > 0 ? { [name]: entries } : {}
}

/** With those that `ByteContent` adds. */
function responsesOf({ responses }: AnyRoute<never>): AnyRoute<never>['responses'] {
  const { 200: whole } = responses
  if (!whole?.bytes) return responses
  return {
    ...responses,
    206: { description: 'The part that `Range` asks for, where it is one range of bytes.', bytes: whole.bytes },
    304: { description: 'What the caller has (`If-None-Match`, `If-Modified-Since`) is still the same.' },
  }
}

function toResponse({ description, json, events, text, bytes }: ResponseSpec, schemas: SchemaCollector): object {
  const content = {
    ...(json && { 'application/json': { schema: schemas.add(json, 'output') } }),
    ...(events && { 'text/event-stream': { schema: schemas.add(events, 'output') } }),
    ...(text && { [text]: { schema: { type: 'string' } } }),
    ...(bytes && { [bytes]: { schema: { type: 'string', format: 'binary' } } }),
  }
  return { description, ...(Object.keys(content).length > 0 && { content }) }
}

function pathParameters(route: AnyRoute<never>, schemas: SchemaCollector): object[] {
  const described = propertiesOf(route.params, schemas)
  return [...route.path.matchAll(/\{(\w+)\+?\}/g)].map(([, name = '']) => parameter('path', name, described.properties[name], true))
}

function queryParameters(route: AnyRoute<never>, schemas: SchemaCollector): object[] {
  const { properties, required } = propertiesOf(route.query, schemas)
  return Object.entries(properties).map(([name, schema]) => parameter('query', name, schema, required.includes(name)))
}

function parameter(place: 'path' | 'query', name: string, schema: OpenApiSchema = { type: 'string' }, required: boolean): object {
  const { description, deprecated, ...rest } = schema
  return { in: place, name, required, ...(description ? { description } : {}), ...(deprecated ? { deprecated } : {}), schema: rest }
}

function propertiesOf(
  schema: z.ZodType | undefined,
  schemas: SchemaCollector,
): { properties: Record<string, OpenApiSchema>; required: string[] } {
  if (!schema) return { properties: {}, required: [] }
  const { properties = {}, required = [] } = schemas.add(schema, 'input') as {
    properties?: Record<string, OpenApiSchema>
    required?: string[]
  }
  return { properties, required }
}

/** The errors a caller can meet; each has the same envelope. */
const errorResponses: Readonly<Record<string, { name: string; description: string }>> = {
  400: { name: 'InvalidRequest', description: 'The request does not match the schema; `param` names the field.' },
  401: { name: 'Unauthenticated', description: 'Missing or invalid credential: the caller’s, or the one used at the provider.' },
  403: { name: 'PermissionDenied', description: 'Not permitted.' },
  404: { name: 'NotFound', description: 'Not found, or not visible to the caller.' },
  409: { name: 'Conflict', description: 'Conflicts with the current state of the resource.' },
  412: { name: 'PreconditionFailed', description: 'A condition of the request (`If-Match`, `If-Unmodified-Since`) does not hold.' },
  413: { name: 'TooLarge', description: 'The request body exceeds the size limit.' },
  415: { name: 'UnsupportedMediaType', description: 'The body is not JSON, or its content encoding is not supported.' },
  416: { name: 'RangeNotSatisfiable', description: 'The range is outside the content; `Content-Range` has its size.' },
  429: {
    name: 'RateLimited',
    description: 'Rate limit exceeded (`Retry-After` says how long to wait), or quota exhausted (`insufficient_quota`).',
  },
  500: { name: 'ServerError', description: 'Internal error; the message has the request ID.' },
  502: {
    name: 'UpstreamError',
    description: 'The provider could not be reached, closed the connection early or returned an invalid response.',
  },
  503: { name: 'Unavailable', description: 'A dependency is unavailable or the server is overloaded; `Retry-After` says when to retry.' },
  504: { name: 'UpstreamTimeout', description: 'The provider did not respond in time.' },
}

function errorsOf(route: AnyRoute<never>, suffix: string): Record<string, object> {
  const statuses = [
    ...(route.body || route.query || route.params ? ['400'] : []),
    // Authentication can fail, be denied, exceed a limit, or meet an identity service that is down.
    ...(route.public === true ? [] : ['401', '403', '429', '503']),
    ...(route.body || route.path.includes('{') ? ['404'] : []),
    ...(route.body ? ['413', '415', '429', '502', '503', '504'] : []),
    ...(route.responses[200]?.bytes ? ['412', '416'] : []),
    ...(route.errors ?? []).map(String),
    '500',
  ]
  return Object.fromEntries(
    statuses.map((status) => [status, { $ref: `#/components/responses/${errorResponses[status]?.name ?? ''}${suffix}` }]),
  )
}

const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'The caller’s credential, where the server requires one.',
  },
  apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same, as Anthropic’s clients send it.' },
  googleApiKey: { type: 'apiKey', in: 'header', name: 'x-goog-api-key', description: 'The same, as Google’s clients send it.' },
  providerData: {
    type: 'apiKey',
    in: 'header',
    name: 'X-LlamaStack-Provider-Data',
    description:
      'JSON with the caller’s own keys for providers, e.g. `{"groq_api_key": "…"}`; it wins over the configured key. `X-OGX-Provider-Data` is the same.',
  },
} as const
