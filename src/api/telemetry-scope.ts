import type { Call } from '../call.ts'
import { ApiError } from '../errors.ts'

/** What a principal's attribute `scopes` must hold, as in Llama Stack. */
const readScope = 'telemetry.read'

/** `resource`: what is to be read, for the log. Throws ApiError 403 where callers are authenticated and this one lacks the scope. */
export function requireScope({ principal }: Pick<Call, 'principal'>, resource: string): void {
  if (!principal || principal.attributes['scopes']?.includes(readScope)) return
  throw new ApiError('permission_error', `Reading telemetry requires the scope '${readScope}' in the attribute 'scopes'.`, {
    code: 'missing_scope',
    denial: { by: 'access_policy', reason: `the scope ${readScope} is missing`, action: 'read', resource },
  })
}
