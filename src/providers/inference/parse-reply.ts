import type { z } from 'zod'
import { ApiError } from '../../errors.ts'

/** A provider's reply, parsed by `schema`; `what` it should be, for the message. Throws ApiError 502 where it is something else. */
export function parseReply<T>(schema: z.ZodType<T>, reply: unknown, what: string): T {
  const parsed = schema.safeParse(reply)
  if (parsed.success) return parsed.data
  throw new ApiError('upstream_error', `The provider's response is not ${what}.`, {
    code: 'upstream_invalid_response',
    cause: parsed.error,
  })
}
