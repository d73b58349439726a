import type { z } from 'zod'
import { invalidRequest } from '../../../child-contract.ts'

/** The request's JSON body. Throws ApiError 400 naming the field at fault. The server in front has limited its size and depth. */
export async function parseBody<Schema extends z.ZodType>(request: Request, schema: Schema): Promise<z.output<Schema>> {
  let value: unknown
  try {
    value = await request.json()
  } catch (error) {
    throw invalidRequest('The request body is not valid JSON.', { cause: error })
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const param = (issue?.path ?? []).map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at > 0 ? '.' : ''}${String(key)}`)).join('')
  throw invalidRequest(issue?.message ?? 'The request is not valid.', { param })
}
