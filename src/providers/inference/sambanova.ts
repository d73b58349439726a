import { inlineRemoteImages } from './inline-images.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.sambanova.ai/v1'

/** It takes images as `data:` URLs only: remote ones are fetched here, past the guard. */
export const sambanova = defineRemoteInference({
  type: 'remote::sambanova',
  description: 'SambaNova.',
  baseUrl,
  key: { header: 'sambanova_api_key', variable: 'SAMBANOVA_API_KEY' },
  capabilities: ['chat', 'completions', 'embeddings'],
  overrides: ({ deps, network }) => ({ editRequest: inlineRemoteImages(deps, network) }),
  starter: hostedStarter('sambanova', 'SAMBANOVA_API_KEY', { variable: 'SAMBANOVA_BASE_URL', default: baseUrl }),
})
