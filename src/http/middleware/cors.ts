import { LinearRegex } from '../../text/linear-regex.ts'
import { ApiError, shortened } from '../../errors.ts'
import type { RequestContext } from './context.ts'
import type { Middleware } from './middleware.ts'

/** Who may call from a browser, and with what. */
export interface CorsPolicy {
  /** Origins, or `*`. */
  readonly allowOrigins: readonly string[]
  /** Matched against the whole origin. */
  readonly allowOriginRegex?: RegExp | undefined
  /** Methods, or `*`. */
  readonly allowMethods: readonly string[]
  /** Request headers, or `*`. */
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly allowCredentials: boolean
  /** Seconds a browser may remember a preflight. */
  readonly maxAge: number
}

/** These need no permission (Fetch standard: CORS-safelisted request headers). */
const safelisted = ['accept', 'accept-language', 'content-language', 'content-type']

/** Whether pages of an origin (`https://app.example.com`, or `null`) may call; none may without a policy. */
export function originMatcher(policy: CorsPolicy | undefined): (origin: string) => boolean {
  if (!policy) return () => false
  if (policy.allowOrigins.includes('*')) return () => true
  const origins = new Set(policy.allowOrigins)
  const { allowOriginRegex: pattern } = policy
  // Any caller can send any `Origin`: no pattern may take long over one.
  const regex = pattern && new LinearRegex(`${pattern.ignoreCase ? '(?i)' : ''}(?:${pattern.source})$`)
  return (origin) => origins.has(origin) || regex?.matches(origin) === true
}

/** Responds to preflights, and sets headers on every other response, errors included. Undefined where cross-origin calls are off. */
export function cors(policy: CorsPolicy | undefined): Middleware | undefined {
  if (!policy) return undefined
  const anyOrigin = policy.allowOrigins.includes('*')
  const sameForAll = anyOrigin && !policy.allowCredentials
  const allows = originMatcher(policy)
  const exposed = policy.exposeHeaders.join(', ')
  const respondToPreflight = preflight(policy)

  return (request, context, next) => {
    const headers = context.responseHeaders
    if (!sameForAll) headers.push('vary', 'Origin')
    const origin = request.headers.get('origin')
    if (origin === null) return next(request, context)
    const allowed = allows(origin)
    if (allowed) {
      headers.push('access-control-allow-origin', sameForAll ? '*' : origin)
      if (policy.allowCredentials) headers.push('access-control-allow-credentials', 'true')
      if (exposed) headers.push('access-control-expose-headers', exposed)
    }
    if (request.method !== 'OPTIONS' || !request.headers.has('access-control-request-method')) return next(request, context)
    headers.push('vary', 'Access-Control-Request-Method, Access-Control-Request-Headers')
    if (!allowed) throw corsDenied(`Origin '${shortened(origin, 100)}'`, 'allow_origins')
    return Promise.resolve(respondToPreflight(request, context))
  }
}

function preflight(policy: CorsPolicy): (request: Request, context: RequestContext) => Response {
  const anyMethod = policy.allowMethods.includes('*')
  const methods = new Set(policy.allowMethods.map((name) => name.toUpperCase()))
  const anyHeader = policy.allowHeaders.includes('*')
  const names = [...new Set([...safelisted, ...policy.allowHeaders.map((name) => name.toLowerCase())])]
  const known = new Set(names)

  return (request, context) => {
    const method = request.headers.get('access-control-request-method') ?? ''
    const requestedHeaders = request.headers.get('access-control-request-headers') ?? ''
    if (!anyMethod && !methods.has(method.toUpperCase())) throw corsDenied(`Method '${shortened(method, 30)}'`, 'allow_methods')
    if (!anyHeader) {
      const disallowed = requestedHeaders.split(',').find((name) => name.trim() !== '' && !known.has(name.trim().toLowerCase()))
      if (disallowed !== undefined) throw corsDenied(`Header '${shortened(disallowed.trim(), 100)}'`, 'allow_headers')
    }
    const headers = context.responseHeaders
    headers.push('access-control-allow-methods', anyMethod ? method : [...methods].join(', '))
    headers.push('access-control-allow-headers', anyHeader ? requestedHeaders || '*' : names.join(', '))
    headers.push('access-control-max-age', String(policy.maxAge))
    return new Response(null, { status: 204 })
  }
}

/** The browser blocks the call in any case; this is for the reader of its network panel. */
function corsDenied(what: string, option: string): ApiError {
  const message = `${what} is not allowed by server.cors.${option}`
  return new ApiError('permission_error', `${message}.`, { code: 'cors_not_allowed', denial: { by: 'origin', reason: message } })
}
