import { ApiError, invalidRequest, shortened } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

interface HostCheckOptions {
  /** Where the server listens; undefined is loopback. */
  readonly host: string | undefined
  /** Further names the server goes by, without port. With these given, the check holds on any address. */
  readonly allowedHosts?: readonly string[] | undefined
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

/** Refuses requests with more than one `Host` or an invalid one, preflights included: 400 (RFC 9112 §3.2). */
export function validHost(): Middleware {
  return (request, context, next) => {
    const given = request.headers.get('host')
    if (given !== null && !isValidHost(given)) throw invalidHost(given)
    return next(request, context)
  }
}

/**
 * Against DNS rebinding: on a loopback address only requests whose `Host` is a name of this machine are served, so that a web page
 * cannot reach the server under a name of its own that it has pointed here. The authority of an absolute-form request target counts as well,
 * where the HTTP server passes it on in `Request.url` (Bun's does not: it replaces the authority by `Host`). Undefined where there is nothing to check.
 */
export function hostCheck({ host, allowedHosts = [] }: HostCheckOptions): Middleware | undefined {
  if (!isLoopback(host) && allowedHosts.length === 0) return undefined
  const allowed = new Set([...loopbackNames, ...(host ? [inBrackets(host)] : []), ...allowedHosts].map((name) => name.toLowerCase()))
  return (request, context, next) => {
    const given = request.headers.get('host')
    // In-process callers and HTTP/1.0 (health checks of load balancers) send none. Browsers always do, and HTTP/1.1 without it is 400.
    if (given === null) return next(request, context)
    if (!allowed.has(withoutPort(given).toLowerCase())) throw notAllowed(given)
    const authority = authorityOf(request.url, given)
    if (authority !== undefined && !allowed.has(withoutPort(authority).toLowerCase())) throw notAllowed(authority)
    return next(request, context)
  }
}

function notAllowed(name: string): ApiError {
  return new ApiError('permission_error', `Host '${shortened(name, 100)}' is not allowed. To allow it, add it to server.allowed_hosts.`, {
    code: 'host_not_allowed',
    denial: { by: 'host', reason: `host '${shortened(name, 100)}' is not allowed` },
  })
}

function invalidHost(given: string): ApiError {
  const what = given.includes(',') ? 'The request has more than one Host header, or an invalid one' : 'The Host header is invalid'
  return invalidRequest(`${what}: '${shortened(given, 100)}'. Send one host name or address, with a port if needed.`, {
    code: 'invalid_host',
  })
}

const plainHost = /^[a-z0-9._-]+(?::\d{1,4})?$/i
/** RFC 3986 §3.2.2 without the comma, by which several headers are joined. */
const hostCharacters = /^[\w.~!$&'()*+;=%:[\]-]+$/

/** Whether a `Host` header is one host with at most a port. */
export function isValidHost(given: string): boolean {
  return plainHost.test(given) || (hostCharacters.test(given) && URL.canParse(`http://${given}`))
}

/** The authority in a request's URL, unless it is `host`. */
function authorityOf(url: string, host: string): string | undefined {
  const scheme = url.indexOf('://')
  if (scheme < 0 || url.charCodeAt(0) === 0x2f) return undefined
  const start = scheme + 3
  const slash = url.indexOf('/', start)
  const end = slash < 0 ? url.length : slash
  if (end - start === host.length && url.startsWith(host, start)) return undefined
  const authority = url.slice(start, end)
  return authority.slice(authority.lastIndexOf('@') + 1)
}

/** True for undefined, `localhost`, `::1` and 127.0.0.0/8. */
export function isLoopback(host: string | undefined): boolean {
  return host === undefined || /^(localhost|\[?::1\]?|127(\.\d{1,3}){3})$/i.test(host)
}

function inBrackets(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':')
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host
}
