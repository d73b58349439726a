import { Hono } from 'hono'
import type { z } from 'zod'
import { ApiError, invalidRequest } from '../errors.ts'
import type { Call } from '../call.ts'
import type { AnyRoute } from './route.ts'

/** Answers one request whose `call` is known. */
export type Dispatch = (request: Request, call: Call) => Promise<Response>

interface Env {
  Bindings: { call: Call }
}

/** Turns the list of routes into a function from request to answer: the one file that knows the router. */
export function mount<Deps>(routes: readonly AnyRoute<Deps>[], deps: Deps): Dispatch {
  const router = new Hono<Env>()
  for (const route of routes) {
    for (const path of [route.path, ...(route.aliases ?? [])]) {
      router.on(route.method, toRouterPath(path), async (context) => {
        const { call } = context.env
        const request = context.req.raw
        const bytes = route.body ? new Uint8Array(await request.arrayBuffer()) : new Uint8Array()
        const input = {
          params: parse(route.params, context.req.param(), ''),
          query: parse(route.query, context.req.query(), ''),
          body: route.body ? parse(route.body, parseJson(bytes), '') : undefined,
          bytes,
          call,
        }
        const result = await route.handle(input as never, deps)
        return result instanceof Response ? result : Response.json(result)
      })
    }
  }
  router.notFound((context) => {
    throw new ApiError('not_found_error', `There is no ${context.req.method} ${context.req.path} here.`)
  })
  router.onError((error) => {
    throw error
  })
  return async (request, call) => router.fetch(request, { call })
}

function toRouterPath(path: string): string {
  return path.replaceAll(/\{(\w+)\+\}/g, ':$1{.+}').replaceAll(/\{(\w+)\}/g, ':$1')
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw invalidRequest('The request body is not valid JSON.', { cause: error })
  }
}

function parse(schema: z.ZodType | undefined, value: unknown, prefix: string): unknown {
  if (!schema) return {}
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalidRequest(issue?.message ?? 'The request is not valid.', { param: prefix + toParam(issue?.path ?? []) })
}

/** `['messages', 0, 'role']` → `messages[0].role`. */
export function toParam(path: readonly PropertyKey[]): string {
  return path.map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at ? '.' : ''}${String(key)}`)).join('')
}
