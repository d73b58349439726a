import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://openrouter.ai/api/v1'

export const openrouter = defineRemoteInference({
  type: 'remote::openrouter',
  description: 'OpenRouter.',
  baseUrl,
  key: { header: 'openrouter_api_key', variable: 'OPENROUTER_API_KEY' },
  // https://openrouter.ai/docs: `models` and `route` are fallbacks, a preset may bring models of its own.
  furtherModels: { opaque: ['route', 'preset'] },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'openrouter', reportsCost: true },
  starter: hostedStarter('openrouter', 'OPENROUTER_API_KEY', { variable: 'OPENROUTER_BASE_URL', default: baseUrl }),
})
