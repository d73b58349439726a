import { httpUrl, text } from '../config-values.ts'
import { withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'

const complete = (url: string): string => withPath(url, '/openai/v1')

export const azure = defineRemoteInference({
  type: 'remote::azure',
  description: 'Azure OpenAI, over its v1 API.',
  completeUrl: complete,
  key: {
    header: 'azure_api_key',
    variable: 'AZURE_API_KEY',
    // A key goes in a header of Azure's own; a token of Entra ID, which is a JWT, as a bearer.
    carry: (key): Record<string, string> =>
      key.startsWith('eyJ') && key.split('.').length === 3 ? { authorization: `Bearer ${key}` } : { 'api-key': key },
  },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'azure' },
  fields: {
    api_base: httpUrl().nullish().describe('The older name of base_url.'),
    api_version: text().nullish().describe('Accepted for older files; the v1 API has no versions.'),
    api_type: text().nullish().describe('Accepted for older files.'),
  },
  namedUrl: (config) => config.api_base,
  callerFields: ['azure_api_version', 'azure_api_type'],
  callerUrl: { field: 'azure_api_base', complete, configWins: false },
  starter: {
    id: 'azure',
    enabledBy: ['AZURE_API_KEY'],
    config: {
      base_url: '${env.AZURE_API_BASE:=}',
      api_key: '${env.AZURE_API_KEY:=}',
      api_version: '${env.AZURE_API_VERSION:=}',
      api_type: '${env.AZURE_API_TYPE:=}',
    },
  },
})
