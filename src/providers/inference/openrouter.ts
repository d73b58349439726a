import { openrouterGateway } from './openrouter-gateway.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://openrouter.ai/api/v1'

export const openrouter = defineRemoteInference({
  type: 'remote::openrouter',
  description: 'OpenRouter.',
  baseUrl,
  key: { header: 'openrouter_api_key', variable: 'OPENROUTER_API_KEY' },
  // Wherever `base_url` leads: a mirror or a proxy of it is judged alike.
  fallbackModels: openrouterGateway.fallbackModels,
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'openrouter', reportsCost: true },
  starter: hostedStarter('openrouter', 'OPENROUTER_API_KEY', { variable: 'OPENROUTER_BASE_URL', default: baseUrl }),
})
