import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.sambanova.ai/v1'

/** It takes images as `data:` URLs only. Remote ones are not fetched here: a server that fetches whatever a caller names can be sent into its own network. */
export const sambanova = defineRemoteInference({
  type: 'remote::sambanova',
  description: 'SambaNova.',
  baseUrl,
  key: { header: 'sambanova_api_key', variable: 'SAMBANOVA_API_KEY' },
  capabilities: ['chat', 'completions', 'embeddings'],
  starter: hostedStarter('sambanova', 'SAMBANOVA_API_KEY', { variable: 'SAMBANOVA_BASE_URL', default: baseUrl }),
})
