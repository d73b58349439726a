import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.deepseek.com'

export const deepseek = defineRemoteInference({
  type: 'remote::deepseek',
  description: 'DeepSeek.',
  baseUrl,
  key: { header: 'deepseek_api_key', variable: 'DEEPSEEK_API_KEY' },
  capabilities: ['chat'],
  pricing: { catalogue: 'deepseek' },
  starter: hostedStarter('deepseek', 'DEEPSEEK_API_KEY', { variable: 'DEEPSEEK_BASE_URL', default: baseUrl }),
})
