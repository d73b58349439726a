import { ApiError, shortened } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

export interface HostCheckOptions {
  /** Where the server listens; undefined is loopback. */
  readonly host: string | undefined
  /** Further names the server goes by, without port. With these given, the check holds on any address. */
  readonly allowedHosts?: readonly string[] | undefined
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

/**
 * Against DNS rebinding: on a loopback address only requests whose `Host` is a name of this machine are answered, so that a web page
 * cannot reach the server under a name of its own that it has pointed here. Undefined where there is nothing to check.
 */
export function hostCheck({ host, allowedHosts = [] }: HostCheckOptions): Middleware | undefined {
  if (!isLoopback(host) && allowedHosts.length === 0) return undefined
  const allowed = new Set([...loopbackNames, ...(host ? [inBrackets(host)] : []), ...allowedHosts].map((name) => name.toLowerCase()))
  return (request, context, next) => {
    const given = request.headers.get('host')
    // In-process callers and HTTP/1.0 (health checks of load balancers) send none. Browsers always do, and HTTP/1.1 without it is 400.
    if (given !== null && !allowed.has(withoutPort(given).toLowerCase())) {
      throw new ApiError('permission_error', `This server is not known as '${shortened(given, 100)}'; name it in server.allowed_hosts.`, {
        code: 'host_not_allowed',
        denial: { by: 'host', reason: `'${shortened(given, 100)}' is no name of this server` },
      })
    }
    return next(request, context)
  }
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
