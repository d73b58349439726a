import type { ProviderData } from '../../call.ts'
import type { Events } from '../../telemetry/events.ts'
import type { Middleware } from './middleware.ts'

/** Corral's own name and those of Llama Stack's clients, new and old: the first one sent counts. */
const names = ['x-corral-provider-data', 'x-ogx-provider-data', 'x-llamastack-provider-data']

/** Characters. */
const longest = 32_768

/**
 * The caller's own provider credentials, a JSON object in a header. What is malformed is ignored with a line in the log, as Llama Stack
 * does: the request goes on and, where a key was needed, is told so.
 */
export function providerData(events: Pick<Events, 'providerDataIgnored'>): Middleware {
  return (request, context, next) => {
    for (const name of names) {
      const text = request.headers.get(name)
      if (text === null) continue
      const parsed = parseProviderData(text)
      if (typeof parsed === 'string') events.providerDataIgnored(context, name, parsed)
      else context.providerData = parsed
      break
    }
    return next(request, context)
  }
}

/** The frozen data, without a prototype and without keys that begin with `__` (the server's own); a string says why there is none. */
export function parseProviderData(text: string): ProviderData | string {
  if (text.length > longest) return `longer than ${longest} characters`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message quotes what it met: that may be a key.
    return 'not JSON'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  const data = Object.create(null) as Record<string, unknown>
  for (const [key, item] of Object.entries(value)) {
    if (!key.startsWith('__')) data[key] = item
  }
  return Object.freeze(data)
}
