import { z } from 'zod'

/** OpenAI's error envelope, with what Corral adds when the fault is the provider's. */
const error = z
  .object({
    message: z.string(),
    type: z.string().meta({ description: 'The type of the error; for provider errors, the provider’s own type.' }),
    code: z.string().nullable(),
    param: z.string().nullable().meta({ description: 'The path of the field at fault, e.g. `messages[0].role`.' }),
    provider: z
      .object({
        id: z.string().meta({ description: 'The provider’s id in this server’s configuration.' }),
        status: z.int().meta({ description: 'The provider’s own HTTP status.' }),
        body: z.unknown().meta({ description: 'The provider’s response body, at most 8 kB.' }),
      })
      .optional()
      .meta({ description: 'Present when the error came from a provider.' }),
  })
  .meta({ id: 'Error' })

export const errorResponse = z.object({ error }).meta({ id: 'ErrorResponse' })
