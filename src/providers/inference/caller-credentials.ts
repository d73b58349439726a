import { z } from 'zod'
import type { Call } from '../../call.ts'
import { CallerUrl } from '../../egress/egress.ts'
import { invalidRequest, type ApiError } from '../../errors.ts'

/** What a caller may say in the provider-data header, as a schema: these fields, and those of other providers beside them. */
export function callerFields(names: readonly string[]) {
  return z.looseObject(Object.fromEntries(names.map((name) => [name, z.string().optional()])))
}

// A header may carry visible ASCII and spaces inside: anything else could end the header and begin another.
const headerSafe = /^[\u0021-\u007e](?:[\u0020-\u007e]*[\u0021-\u007e])?$/

/** What the caller's provider data say under a name; undefined when it is absent, null or empty. */
function providerDataField(call: Call, name: string): unknown {
  const value = Object.hasOwn(call.providerData, name) ? call.providerData[name] : undefined
  return value === null || value === '' ? undefined : value
}

function readable(value: unknown): string | undefined {
  const trimmed = typeof value === 'string' ? value.trim() : ''
  return headerSafe.test(trimmed) ? trimmed : undefined
}

/** Whether the caller's provider data have a field that `fieldOf` can read. */
export function hasReadableField(call: Call, name: string): boolean {
  return readable(providerDataField(call, name)) !== undefined
}

/**
 * One field of the caller's provider data; undefined when it is absent or blank. Throws ApiError 400 where it is not a text that a header can
 * carry: a request with a credential is never served with another one. The message contains the field's name and kind, never its value.
 */
export function fieldOf(call: Call, name: string): string | undefined {
  const value = providerDataField(call, name)
  if (value === undefined || (typeof value === 'string' && value.trim() === '')) return undefined
  const text = readable(value)
  if (text !== undefined) return text
  const kind = typeof value === 'string' ? 'must be a string of visible ASCII characters' : `must be a string, not ${kindOf(value)}`
  throw invalidRequest(`The provider data's '${name}' ${kind}.`, { code: 'invalid_provider_data', param: name })
}

/** Whether the caller names a URL of its own under `name`, valid or not: its credentials must then not be sent elsewhere. */
export function hasUrl(call: Call, name: string): boolean {
  return providerDataField(call, name) !== undefined
}

/** That URL. Throws ApiError 400 where it is none. */
export function urlFieldOf(call: Call, name: string): CallerUrl {
  const value = providerDataField(call, name)
  const source = { source: `the provider data's '${name}'`, code: 'invalid_provider_url' }
  return CallerUrl.parse(typeof value === 'string' ? value.trim() : '', source)
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
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
