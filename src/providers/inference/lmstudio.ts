import { withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { localStarter } from './starter.ts'

const defaultUrl = 'http://localhost:1234/v1'

export const lmstudio = defineRemoteInference({
  type: 'remote::lmstudio',
  description: 'An LM Studio server.',
  baseUrl: defaultUrl,
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'lmstudio_api_key', variable: 'LMSTUDIO_API_KEY', required: false },
  fallbackModels: { named: ['draft_model'] },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { local: true },
  starter: localStarter('lmstudio', 'LMSTUDIO_URL', defaultUrl),
})
