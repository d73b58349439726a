import { inlineRemoteImages } from './inline-images.ts'
import { withoutV1, withPath } from './openai-compatible-config.ts'
import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'
import { localStarter } from './starter.ts'

const defaultUrl = 'http://localhost:11434/v1'

/** It takes images as `data:` URLs only: remote ones are fetched here, past the guard. A name without a tag means `:latest` to Ollama itself. */
export const ollama = defineRemoteInference({
  type: 'remote::ollama',
  description: 'An Ollama server.',
  baseUrl: defaultUrl,
  // Older files say `url: http://localhost:11434`.
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'ollama_api_key', required: false },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { local: true },
  starter: localStarter('ollama', 'OLLAMA_URL', defaultUrl),
  overrides: ({ deps, network }) => ({
    editRequest: inlineRemoteImages(deps, network),
    // It does not read tool_choice (ollama/ollama#17921).
    excludeToolsWhenNone: true,
    typeOf: knownEmbeddings({
      'all-minilm:l6-v2': [384, 512],
      'all-minilm:latest': [384, 512],
      'nomic-embed-text:latest': [768, 8192],
      'nomic-embed-text:v1.5': [768, 8192],
      'nomic-embed-text:137m-v1.5-fp16': [768, 8192],
    }),
  }),
  wrap: (provider, { root, ping: reach }) => ({
    ...provider,
    checkHealth: (call) => reach({ url: `${withoutV1(root)}/api/ps` }, call),
  }),
})
