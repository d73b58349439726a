import { ApiError, invalidRequest } from '../../../child-contract.ts'

/** For a field that requests something unsupported. */
export function unsupported(param: string, what: string): ApiError {
  return invalidRequest(`The embedded model does not support ${what}.`, { param, code: 'unsupported_parameter' })
}

/** Anything thrown, as OpenAI's error body. */
export function toErrorBody(thrown: unknown): object {
  const { message, type, code, param } = toApiError(thrown)
  return { error: { message, type, code, param } }
}

export function toErrorResponse(thrown: unknown): Response {
  const { status, headers } = toApiError(thrown)
  return Response.json(toErrorBody(thrown), { status, headers })
}

function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  return new ApiError('server_error', `The embedded model failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
    cause: thrown,
  })
}
