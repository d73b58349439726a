import { withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.cerebras.ai/v1'

export const cerebras = defineRemoteInference({
  type: 'remote::cerebras',
  description: 'Cerebras.',
  baseUrl,
  // Older files say `base_url: https://api.cerebras.ai`.
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'cerebras_api_key', variable: 'CEREBRAS_API_KEY' },
  capabilities: ['chat', 'completions'],
  pricing: { catalogue: 'cerebras' },
  starter: hostedStarter('cerebras', 'CEREBRAS_API_KEY', { variable: 'CEREBRAS_BASE_URL', default: baseUrl }),
})
