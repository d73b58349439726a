import { z } from 'zod'
import { accessPolicySchema, routePolicySchema } from '../access/schema.ts'
import { authConfigSchema } from '../auth/schema.ts'
import { secret } from '../providers/config-values.ts'

/** The shortest pepper, in characters: what is guessed protects nothing. */
const minPepperLength = 16

/** `server.auth`. */
export const authSectionSchema = z.strictObject({
  provider_config: authConfigSchema
    .nullish()
    .describe('Who tells who is asking: one authenticator, or a list of them, asked in order. Absent: nobody has to authenticate.'),
  route_policy: routePolicySchema
    .nullish()
    .describe(
      'Who may use which routes: the first rule that matches decides, none refuses. Absent or empty: every route is open to whoever is authenticated.',
    ),
  access_policy: accessPolicySchema
    .nullish()
    .describe(
      "Who may do what with which resources: the first rule that matches decides, none refuses. Absent or empty: Llama Stack's default.",
    ),
  key_pepper: secret()
    .refine(
      (pepper) => pepper === undefined || pepper.reveal().length >= minPepperLength,
      `must have at least ${minPepperLength} characters`,
    )
    .nullish()
    .describe("What API keys are hashed with; the same on every replica. Absent: a file in Corral's home, made when first needed."),
  docs_public: z.boolean().default(false).describe('Whether /docs and /openapi.json can be read without a credential.'),
})

export type ServerAuthSection = z.output<typeof authSectionSchema>
