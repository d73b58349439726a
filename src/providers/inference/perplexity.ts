import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.perplexity.ai'

const models = ['sonar', 'sonar-pro', 'sonar-reasoning', 'sonar-reasoning-pro', 'sonar-deep-research']

export const perplexity = defineRemoteInference({
  type: 'remote::perplexity',
  description: 'Perplexity.',
  baseUrl,
  key: { header: 'perplexity_api_key', variable: 'PERPLEXITY_API_KEY' },
  capabilities: ['chat'],
  pricing: { catalogue: 'perplexity', reportsCost: true },
  starter: hostedStarter('perplexity', 'PERPLEXITY_API_KEY', { variable: 'PERPLEXITY_BASE_URL', default: baseUrl }),
  overrides: () => ({
    // Most of its models end their streams without [DONE], with usage on every chunk.
    terminal: 'finish_reason',
    streamUsage: false,
    parseModels: false,
    staticModels: models.map((id) => ({ id, type: 'llm', metadata: {} })),
  }),
})
