import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.meta.ai/v1'

export const meta = defineRemoteInference({
  type: 'remote::meta',
  description: "Meta's Model API.",
  baseUrl,
  key: { header: 'meta_api_key', variable: 'META_API_KEY' },
  capabilities: ['chat'],
  starter: hostedStarter('meta', 'META_API_KEY', { variable: 'META_BASE_URL', default: baseUrl }),
})
