import type { Dialect } from '../dialects/dialect.ts'
import { ApiError } from '../errors.ts'

/** The response to a failed request. */
export function toErrorResponse(error: ApiError, dialect: Dialect): Response {
  const headers = new Headers({ 'content-type': 'application/json', ...dialect.errorHeaders?.(error), ...error.headers })
  if (error.provider) headers.set('x-corral-error-source', 'provider')
  if (!error.retryable && isRetriedByClients(error.status)) headers.set('x-should-retry', 'false')
  return new Response(JSON.stringify(dialect.errorBody(error)), { status: error.status, headers })
}

/** The official clients retry these unless `x-should-retry` is false. */
function isRetriedByClients(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500
}

/** The error that the caller sees: an ApiError unchanged, anything else as an opaque 500. */
export function toApiError(thrown: unknown, requestId: string, traceId?: string): ApiError {
  if (thrown instanceof ApiError) return thrown
  const trace = traceId === undefined ? '' : `, trace ID: ${traceId}`
  return new ApiError('server_error', `Internal server error. Request ID: ${requestId}${trace}.`, { cause: thrown })
}
