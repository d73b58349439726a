import { secret, text } from '../config-values.ts'
import { fieldOf } from './caller-credentials.ts'
import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'

const baseUrl = 'https://generativelanguage.googleapis.com/v1beta/openai'

export const gemini = defineRemoteInference({
  type: 'remote::gemini',
  description: 'Google Gemini, over its OpenAI-compatible endpoint.',
  baseUrl,
  key: { header: 'gemini_api_key', variable: 'GEMINI_API_KEY' },
  genAiName: 'gcp.gemini',
  capabilities: ['chat', 'embeddings'],
  pricing: { catalogue: 'google', modelOf: (id) => id.replace(/^models\//, '') },
  fields: {
    access_token: secret().nullish().describe('An OAuth access token in place of api_key; it goes before api_key.'),
    project: text().nullish().describe('The Google Cloud project that an access token is charged to.'),
  },
  starter: {
    id: 'gemini',
    enabledBy: ['GEMINI_API_KEY', 'GEMINI_ACCESS_TOKEN'],
    config: {
      base_url: `\${env.GEMINI_BASE_URL:=${baseUrl}}`,
      api_key: '${env.GEMINI_API_KEY:=}',
      access_token: '${env.GEMINI_ACCESS_TOKEN:=}',
      project: '${env.GEMINI_AI_PROJECT:=}',
    },
  },
  overrides({ config, root, authorize }) {
    const token = config.access_token
    return {
      hasOwnKey: Boolean(root && (token ?? config.api_key ?? config.api_token)),
      // The project is the operator's: it goes with the operator's token, not with a caller's key.
      authorize: (call) =>
        token && fieldOf(call, 'gemini_api_key') === undefined
          ? { authorization: `Bearer ${token.reveal()}`, ...(config.project && { 'x-goog-user-project': config.project }) }
          : authorize(call),
      typeOf: knownEmbeddings({ 'models/text-embedding-004': [768, 2048], 'models/gemini-embedding-001': [3072, 2048] }),
    }
  },
})
