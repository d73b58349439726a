import { z } from 'zod'
import type { Call } from '../../call.ts'
import { invalidRequest, type ApiError } from '../../errors.ts'
import type { Log } from '../../telemetry/logger.ts'

/** What a caller may say in the provider-data header, as a schema: these fields, and those of other providers beside them. */
export function callerFields(names: readonly string[]) {
  return z.looseObject(Object.fromEntries(names.map((name) => [name, z.string().optional()])))
}

// A header may carry visible ASCII and spaces inside: anything else could end the header and begin another.
const headerSafe = /^[\u0021-\u007e](?:[\u0020-\u007e]*[\u0021-\u007e])?$/

/**
 * One field of the caller's provider data. Undefined when it is absent or empty, and when it is no text that a header can carry:
 * then `log`, if given, tells the field's name and kind, never its value.
 */
export function fieldOf(call: Call, name: string, log?: Log): string | undefined {
  const value = Object.hasOwn(call.providerData, name) ? call.providerData[name] : undefined
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string') {
    const trimmed = value.trim()
    if (headerSafe.test(trimmed)) return trimmed
  }
  const kind =
    typeof value === 'string'
      ? 'a text with characters that no header can carry'
      : `of type ${Array.isArray(value) ? 'array' : typeof value}`
  log?.warn({ request_id: call.requestId, field: name }, `The provider data's '${name}' is ${kind}: ignored.`)
  return undefined
}

/** Neither the configuration nor the caller gave a key. Names the header of both families, and the variable where there is one. */
export function missingKey(field: string, variable?: string): ApiError {
  const remedy = variable ? ` The server's own key is read from ${variable}.` : ''
  return invalidRequest(
    `API key not provided. Please provide a valid API key in the provider data header, e.g. x-ogx-provider-data: {"${field}": "<API_KEY>"}. ` +
      `(x-llamastack-provider-data is read as well.)${remedy}`,
    { code: 'missing_provider_key' },
  )
}
