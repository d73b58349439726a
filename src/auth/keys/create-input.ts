import { invalidRequest } from '../../errors.ts'
import type { CreateApiKeyInput } from './key-service.ts'

/** What cannot be told by looking at one field alone. Throws ApiError 400 that names the field, as it is called over HTTP. */
export function validateCreateInput(
  input: CreateApiKeyInput,
  { apis, time }: { apis: ReadonlySet<string> | undefined; time: number },
): void {
  const { expiresAt, allowedApis, allowedModels } = input
  if (expiresAt !== undefined && !(expiresAt > time)) throw invalid('expires_at', 'must be in the future')
  const unknown = apis && allowedApis?.find((api) => !apis.has(api))
  if (apis && unknown !== undefined) {
    throw invalid(
      `allowed_apis[${allowedApis?.indexOf(unknown)}]`,
      `unknown API '${unknown}'; known are ${[...apis].toSorted().join(', ')}`,
    )
  }
  if (allowedModels?.length === 0) throw invalid('allowed_models', 'must not be empty: omit it to allow every model')
  if (allowedApis?.length === 0) throw invalid('allowed_apis', 'must not be empty: omit it to allow every API')
}

function invalid(param: string, why: string): Error {
  return invalidRequest(`Invalid value for '${param}': ${why}.`, { param, code: 'invalid_value' })
}
