import type { Middleware } from './middleware.ts'

/**
 * Asks browsers to use HTTPS only, for `maxAge` seconds (RFC 6797), in every response, errors included. Undefined where there is nothing to send:
 * over plain HTTP the header would be ignored (RFC 6797 §7.2).
 */
export function strictTransport({
  tls,
  hstsMaxAge,
}: {
  readonly tls?: object | undefined
  readonly hstsMaxAge?: number | undefined
}): Middleware | undefined {
  if (!tls || !hstsMaxAge) return undefined
  const value = `max-age=${hstsMaxAge}; includeSubDomains`
  return (request, context, next) => {
    context.responseHeaders.push('strict-transport-security', value)
    return next(request, context)
  }
}
