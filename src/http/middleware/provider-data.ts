import type { ProviderData } from '../../call.ts'
import { invalidRequest } from '../../errors.ts'
import type { Middleware } from './middleware.ts'

/** Corral's own name and those of Llama Stack's clients, new and old: the first one sent counts. */
const names = ['x-corral-provider-data', 'x-ogx-provider-data', 'x-llamastack-provider-data']

/** Characters. */
const maxLength = 32_768

/**
 * The caller's own provider credentials, a JSON object in a header. Throws ApiError 400 when one of the headers is not such an object: a caller that
 * brings a key is not served with the operator's key instead.
 */
export function providerData(): Middleware {
  return (request, context, next) => {
    let data: ProviderData | undefined
    for (const name of names) {
      const text = request.headers.get(name)
      if (text === null) continue
      const parsed = parseProviderData(text)
      if (typeof parsed === 'string') throw invalidProviderData(name, parsed)
      data ??= parsed
    }
    if (data) context.providerData = data
    return next(request, context)
  }
}

function invalidProviderData(header: string, why: string): Error {
  return invalidRequest(`The header ${header} ${why}. Send a JSON object, e.g. ${header}: {"openai_api_key": "<API_KEY>"}.`, {
    code: 'invalid_provider_data',
    param: header,
  })
}

/** The frozen data, without a prototype and without keys that begin with `__` (the server's own); a string describes what is wrong with the text. */
export function parseProviderData(text: string): ProviderData | string {
  if (text.length > maxLength) return `is longer than ${maxLength} characters`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message quotes what it met: that may be a key.
    return 'is not JSON'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is not a JSON object'
  const data = Object.create(null) as Record<string, unknown>
  for (const [key, item] of Object.entries(value)) {
    if (!key.startsWith('__')) data[key] = item
  }
  return Object.freeze(data)
}
