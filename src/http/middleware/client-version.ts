import { invalidRequest, shortened } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

/** The clients of Llama Stack and of its successor send their own version. */
const names = ['x-ogx-client-version', 'x-llamastack-client-version']

/**
 * Responds 426 to clients of a `major.minor` that is not among `served`, as Llama Stack does. Clients that send no version, or none that can be
 * read, pass. Undefined where every client is served.
 */
export function clientVersion(served: readonly string[]): Middleware | undefined {
  if (served.length === 0) return undefined
  const known = new Set(served.map(majorMinor))
  return (request, context, next) => {
    for (const name of names) {
      const version = request.headers.get(name)
      const requested = version === null ? undefined : majorMinor(version)
      if (version === null || requested === undefined || known.has(requested)) continue
      const text = `Client version ${shortened(version, 40)} is not compatible with server version ${served.join(', ')}.`
      throw invalidRequest(`${text} Please update your client.`, { status: 426, code: 'client_version_mismatch' })
    }
    return next(request, context)
  }
}

/** `0.2.23` → `0.2`, as integers; undefined for what is not a version. */
function majorMinor(version: string): string | undefined {
  const match = /^\s*v?(\d{1,9})\.(\d{1,9})(?=\.|\s*$)/.exec(version)
  return match ? `${Number(match[1])}.${Number(match[2])}` : undefined
}
