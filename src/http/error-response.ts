import { ApiError } from '../errors.ts'

/** An error as OpenAI's clients read it: the body of every error answer on OpenAI's paths, and the data of an error event in a stream. */
export function toErrorBody(error: ApiError): object {
  const { message, type, code, param, provider } = error
  return { error: { message, type, code, param, ...(provider && { provider }) } }
}

/** The longest wait that a client's own retry is allowed to sleep for, in seconds. */
const maxClientRetryWait = 60

/** The whole answer to a failed request. */
export function toErrorResponse(error: ApiError): Response {
  const headers = new Headers({ 'content-type': 'application/json', ...error.headers })
  if (error.provider) headers.set('x-corral-error-source', 'provider')
  if (error.status === 409 || Number(headers.get('retry-after')) > maxClientRetryWait) headers.set('x-should-retry', 'false')
  return new Response(JSON.stringify(toErrorBody(error)), { status: error.status, headers })
}

/** What a caller may see of anything that was thrown: an ApiError as it is, all else opaque. */
export function toApiError(thrown: unknown, requestId: string, traceId?: string): ApiError {
  if (thrown instanceof ApiError) return thrown
  const trace = traceId === undefined ? '' : `, trace ID: ${traceId}`
  return new ApiError('server_error', `Internal server error. Request ID: ${requestId}${trace}.`, { cause: thrown })
}
