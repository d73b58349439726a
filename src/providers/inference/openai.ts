import { defineRemoteInference, knownModels } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.openai.com/v1'

/** Maximum output tokens of each family: OpenAI's listing does not contain them, and larger requests are refused. */
const maxOutputTokens: readonly (readonly [family: string, limit: number])[] = [
  ['gpt-4.1-mini', 32_768],
  ['gpt-4.1-nano', 32_768],
  ['gpt-4.1', 32_768],
  ['gpt-4o-mini', 16_384],
  ['gpt-4o', 16_384],
  ['gpt-4-turbo', 4_096],
  ['gpt-4', 8_192],
  ['o1-mini', 65_536],
  ['o1', 100_000],
  ['o3', 100_000],
  ['o4-mini', 100_000],
]

const embeddings = knownModels({
  'text-embedding-3-small': { type: 'embedding', metadata: { embedding_dimension: 1536, context_length: 8192 } },
  'text-embedding-3-large': { type: 'embedding', metadata: { embedding_dimension: 3072, context_length: 8192 } },
})

/** The family's own id, or one of its variants after a dash: `gpt-4o-2024-08-06`, not `gpt-4omega`. */
export function outputLimit(model: string): number | undefined {
  return maxOutputTokens.find(([family]) => model === family || model.startsWith(`${family}-`))?.[1]
}

/** What `max_tokens` and `max_completion_tokens` must become; undefined when both may stay. */
export function clampTokens(model: string, body: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const limit = outputLimit(model)
  if (limit === undefined) return undefined
  const over = ['max_tokens', 'max_completion_tokens'].filter((field) => typeof body[field] === 'number' && body[field] > limit)
  return over.length > 0 ? Object.fromEntries(over.map((field) => [field, limit])) : undefined
}

export const openai = defineRemoteInference({
  type: 'remote::openai',
  description: 'OpenAI.',
  baseUrl,
  key: { header: 'openai_api_key', variable: 'OPENAI_API_KEY' },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'openai' },
  starter: hostedStarter('openai', 'OPENAI_API_KEY', { variable: 'OPENAI_BASE_URL', default: baseUrl }),
  overrides: () => ({
    editRequest: (request, operation) => (operation === 'embeddings' ? undefined : clampTokens(request.model, request.body)),
    typeOf(id) {
      const limit = outputLimit(id)
      return embeddings(id) ?? (limit === undefined ? undefined : { type: 'llm', metadata: { max_output_tokens: limit } })
    },
  }),
})
