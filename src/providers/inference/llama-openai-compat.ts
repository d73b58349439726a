import { httpUrl } from '../config-values.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'

const baseUrl = 'https://api.llama.com/compat/v1'

export const llamaOpenaiCompat = defineRemoteInference({
  type: 'remote::llama-openai-compat',
  description: "Meta's Llama API.",
  baseUrl,
  key: { header: 'llama_api_key', variable: 'LLAMA_API_KEY' },
  capabilities: ['chat'],
  fields: { openai_compat_api_base: httpUrl().nullish().describe('Deprecated alias of base_url.') },
  configuredUrl: (config) => config.openai_compat_api_base,
  starter: hostedStarter('llama-openai-compat', 'LLAMA_API_KEY', { variable: 'LLAMA_BASE_URL', default: baseUrl }),
})
