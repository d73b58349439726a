import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.x.ai/v1'

export const xai = defineRemoteInference({
  type: 'remote::xai',
  description: 'xAI.',
  baseUrl,
  key: { header: 'xai_api_key', variable: 'XAI_API_KEY' },
  capabilities: ['chat', 'completions'],
  pricing: { catalogue: 'x-ai', reportsCost: true },
  starter: hostedStarter('xai', 'XAI_API_KEY', { variable: 'XAI_BASE_URL', default: baseUrl }),
})
