import { z } from 'zod'
import { listResponse, pageQuery } from './lists.ts'

/** Text that both databases can hold and a line of a log can show. */
const word = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    // oxlint-disable-next-line no-control-regex -- what a name must not hold
    .refine((text) => !/[\u0000-\u001f\u007f-\u009f]/.test(text) && text.isWellFormed(), 'must not contain control characters')
    .refine((text) => text.trim() !== '', 'must not be blank')

const attributes = z
  .record(word(128), z.array(word(512)).max(200))
  .refine((all) => Object.keys(all).length <= 50, 'must not have more than 50 names')
  .meta({ description: 'Attribute → values, as policies see them, e.g. `{"teams": ["search"]}`.' })

const count = (what: string) => z.int().min(1).max(9_007_199_254_740_991).optional().meta({ description: what })

/** One limit, as it goes over the wire. */
const keyLimit = z
  .strictObject({
    name: word(100).optional().meta({ description: 'Shown in the error when the limit is exceeded.' }),
    period: z
      .enum(['second', 'minute', 'hour', 'day', 'week', 'month'])
      .optional()
      .meta({ description: 'In UTC; weeks begin on Monday. Needed for all but `concurrent_requests`.' }),
    requests: count('Requests in a period.'),
    input_tokens: count('Input tokens in a period.'),
    output_tokens: count('Output tokens in a period.'),
    total_tokens: count('Input and output tokens in a period.'),
    // Money is counted in billionths of a dollar.
    dollars: z
      .number()
      .positive()
      .max(9_000_000)
      .refine((amount) => amount <= 0 || amount >= 1e-9, 'is below the minimum of 0.000000001 US dollars')
      .optional()
      .meta({ description: 'US dollars in a period, by the prices of the models; at least 0.000000001.' }),
    concurrent_requests: count('Requests at any one time, whatever the period.'),
  })
  .superRefine(({ name: _name, period, concurrent_requests: concurrent, ...amounts }, context) => {
    const given = Object.entries(amounts).find(([, amount]) => amount !== undefined)?.[0]
    if (given !== undefined && period === undefined) {
      context.addIssue({ code: 'custom', path: ['period'], message: `${given} requires a period` })
    }
    if (given === undefined && concurrent === undefined) {
      context.addIssue({ code: 'custom', message: 'must set at least one of requests, tokens, dollars or concurrent_requests' })
    }
  })
  .meta({
    id: 'ApiKeyLimit',
    anyOf: [
      { required: ['concurrent_requests'] },
      ...['requests', 'input_tokens', 'output_tokens', 'total_tokens', 'dollars'].map((amount) => ({ required: [amount, 'period'] })),
    ],
  })
export type KeyLimit = z.output<typeof keyLimit>

const modelPattern = word(512).meta({ description: 'A model id; `*` matches any characters.' })

/** The body of `POST /v1alpha/admin/keys`. */
export const createApiKeyRequest = z
  .strictObject({
    name: word(100).meta({ description: 'A descriptive name.' }),
    principal: word(512)
      .optional()
      .meta({ description: 'The principal of the key. Default: the caller. Another principal requires a rule that permits it.' }),
    attributes: attributes.optional(),
    allowed_models: z
      .array(modelPattern)
      .max(1_000)
      .nullish()
      .meta({ description: 'The models it may use; absent: every one that policies permit.' }),
    allowed_apis: z
      .array(word(100))
      .max(100)
      .nullish()
      .meta({ description: 'The APIs it may use, e.g. `inference`, `models`; absent: every one that policies permit.' }),
    limits: z.array(keyLimit).max(50).optional(),
    expires_at: z.int().min(1).max(8_640_000_000_000).nullish().meta({ description: 'Unix seconds; absent: never.' }),
  })
  .meta({ id: 'CreateApiKeyRequest' })
export type CreateApiKeyRequest = z.output<typeof createApiKeyRequest>

/** The body of `POST /v1alpha/admin/keys/{id}/rotate`. */
export const rotateApiKeyRequest = z
  .strictObject({
    grace_seconds: z
      .number()
      .min(0)
      .max(2_592_000)
      .default(0)
      .meta({ description: 'How long the previous token remains valid; at most 30 days. Default: 0.' }),
  })
  .meta({ id: 'RotateApiKeyRequest' })
export type RotateApiKeyRequest = z.input<typeof rotateApiKeyRequest>

export const apiKey = z
  .object({
    id: z.string().meta({ description: '`key_…`. Identifies the key in logs and lists.' }),
    object: z.literal('api_key'),
    name: z.string(),
    redacted_value: z.string().meta({ description: 'The first and last characters of the token.' }),
    status: z.enum(['active', 'expired', 'revoked']),
    created_at: z.int().meta({ description: 'Unix seconds, as are all times here.' }),
    expires_at: z.int().nullable(),
    revoked_at: z.int().nullable(),
    previous_valid_until: z.int().nullable().meta({ description: 'When the previous token expires after a rotation.' }),
    owner: z.string().nullable().meta({ description: 'The creator; for a key created on the command line, the principal.' }),
    principal: z.string().meta({ description: 'The principal of the key.' }),
    attributes: z.record(z.string(), z.array(z.string())),
    allowed_models: z.array(z.string()).nullable(),
    allowed_apis: z.array(z.string()).nullable(),
    limits: z.array(keyLimit),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.output<typeof apiKey>

export const issuedApiKey = apiKey
  .extend({ value: z.string().meta({ description: 'The token. It is shown this once.' }) })
  .meta({ id: 'IssuedApiKey' })

export const apiKeyList = listResponse(apiKey, 'ListApiKeysResponse')

/** The query of `GET /v1alpha/admin/keys`. */
export const apiKeyPage = pageQuery({ noun: 'key' })
