import type { RequestContext } from './context.ts'

export type Next = (request: Request, context: RequestContext) => Promise<Response>

/** One layer around the routes. It responds, throws an ApiError, or calls `next`; headers for the response go into `context`. */
export type Middleware = (request: Request, context: RequestContext, next: Next) => Promise<Response>

/** Puts the layers around `innermost`, the first one outermost. Done once at start: a request costs one call a layer. */
export function compose(layers: readonly Middleware[], innermost: Next): Next {
  return layers.reduceRight<Next>((next, layer) => (request, context) => layer(request, context, next), innermost)
}
