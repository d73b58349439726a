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
    .describe('One authenticator, or a list of them that is tried in order. Default: no authentication.'),
  route_policy: routePolicySchema
    .nullish()
    .describe(
      'Rules for routes: the first rule that matches decides; without a match the request is denied. Default or empty: authenticated callers may use every route.',
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
