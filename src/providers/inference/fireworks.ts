import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.fireworks.ai/inference/v1'

export const fireworks = defineRemoteInference({
  type: 'remote::fireworks',
  description: 'Fireworks AI.',
  baseUrl,
  key: { header: 'fireworks_api_key', variable: 'FIREWORKS_API_KEY' },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'fireworks' },
  starter: hostedStarter('fireworks', 'FIREWORKS_API_KEY', { variable: 'FIREWORKS_BASE_URL', default: baseUrl }),
  overrides: () => ({
    typeOf: knownEmbeddings({
      'nomic-ai/nomic-embed-text-v1.5': [768, 8192],
      'accounts/fireworks/models/qwen3-embedding-8b': [4096, 40_960],
    }),
  }),
})
