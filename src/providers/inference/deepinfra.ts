import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.deepinfra.com/v1/openai'

export const deepinfra = defineRemoteInference({
  type: 'remote::deepinfra',
  description: 'DeepInfra.',
  baseUrl,
  key: { header: 'deepinfra_api_key', variable: 'DEEPINFRA_API_KEY' },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { reportsCost: true },
  starter: hostedStarter('deepinfra', 'DEEPINFRA_API_KEY', { variable: 'DEEPINFRA_BASE_URL', default: baseUrl }),
})
