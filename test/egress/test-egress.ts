import { createEgress, CallerUrl, type EgressOptions, type EgressRequest } from '../../src/egress/egress.ts'
import { ApiError } from '../../src/errors.ts'

/** A resolver with given results that records its lookups. */
export function scriptedResolver(names: Readonly<Record<string, readonly string[] | readonly (readonly string[])[] | Error>>) {
  const lookups: string[] = []
  const resolve = (host: string): Promise<readonly string[]> => {
    lookups.push(host)
    const reply = Object.hasOwn(names, host) ? names[host] : undefined
    if (reply === undefined) return Promise.reject(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }))
    if (reply instanceof Error) return Promise.reject(reply)
    const turn = reply[Math.min(lookups.filter((name) => name === host).length, reply.length) - 1]
    return Promise.resolve(Array.isArray(turn) ? (turn as readonly string[]) : (reply as readonly string[]))
  }
  return { asked: lookups, resolve }
}

/** The way out for callers, with names that mean what the test says. */
export function callerEgress(options: EgressOptions & { names?: Parameters<typeof scriptedResolver>[0] } = {}) {
  const { names = {}, ...rest } = options
  const resolver = scriptedResolver(names)
  const egress = createEgress({ resolve: resolver.resolve, ownAddresses: () => [], ...rest })
  return { egress, lookups: resolver.asked }
}

export function callerUrl(text: string): CallerUrl {
  return CallerUrl.parse(text, { source: "the field 'url'" })
}

export function get(over: Partial<EgressRequest> = {}): EgressRequest {
  return { method: 'GET', headers: {}, signal: new AbortController().signal, ...over }
}

/** What a request is refused with. */
export async function refusalOf(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => new Error('it was let through'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof ApiError)) throw error
  return error
}
