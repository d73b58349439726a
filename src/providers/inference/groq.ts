import { withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.groq.com/openai/v1'

export const groq = defineRemoteInference({
  type: 'remote::groq',
  description: 'Groq.',
  baseUrl,
  // Older files say `url: https://api.groq.com`.
  completeUrl: (url) => withPath(url, '/openai/v1'),
  key: { header: 'groq_api_key', variable: 'GROQ_API_KEY' },
  // Compound systems take a list of the models they consist of.
  fallbackModels: { uncheckable: ['compound_custom'] },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'groq' },
  // Models that are given tools call them all the same, which is then a 400: "Tool choice is none, but model called a tool".
  overrides: () => ({ excludeToolsWhenNone: true }),
  starter: hostedStarter('groq', 'GROQ_API_KEY', { variable: 'GROQ_BASE_URL', default: baseUrl }),
})
