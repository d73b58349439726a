import type { ApiError } from '../../errors.ts'
import { errorResponse } from '../../schemas/errors.ts'
import type { Dialect } from '../dialect.ts'

const encoder = new TextEncoder()

/** OpenAI's API, which is also that of Corral's own routes. */
export const openai: Dialect = {
  name: 'openai',
  paths: ['/'],
  errorBody,
  errorSchema: errorResponse,
  errorEvent: (error) => encoder.encode(`data: ${JSON.stringify(errorBody(error))}\n\n`),
  // A comment: every client skips it, and every proxy on the path sees that the connection is alive.
  heartbeat: encoder.encode(': ping\n\n'),
  endOfStream: encoder.encode('data: [DONE]\n\n'),
}

function errorBody({ message, type, code, param, provider }: ApiError): object {
  return { error: { message, type, code, param, ...(provider && { provider }) } }
}
