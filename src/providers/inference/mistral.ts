import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.mistral.ai/v1'

export const mistral = defineRemoteInference({
  type: 'remote::mistral',
  description: 'Mistral AI.',
  baseUrl,
  key: { header: 'mistral_api_key', variable: 'MISTRAL_API_KEY' },
  genAiName: 'mistral_ai',
  capabilities: ['chat', 'embeddings'],
  pricing: { catalogue: 'mistral' },
  starter: hostedStarter('mistral', 'MISTRAL_API_KEY', { variable: 'MISTRAL_BASE_URL', default: baseUrl }),
  overrides: () => ({
    // Usage comes with the last chunk unasked, and Mistral refuses fields that it does not know.
    streamUsage: false,
    typeOf: knownEmbeddings({ 'mistral-embed': [1024, 8192] }),
  }),
})
