import { withoutV1, withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { toDocumentsRequest, fromRanking } from './rerank.ts'
import { localStarter } from './starter.ts'

const defaultUrl = 'http://localhost:8080/v1'

export const llamaCppServer = defineRemoteInference({
  type: 'remote::llama-cpp-server',
  description: 'A llama.cpp server (llama-server); reranks too.',
  baseUrl: defaultUrl,
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'llama_cpp_server_api_key', variable: 'LLAMA_CPP_SERVER_API_KEY', required: false },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { local: true },
  starter: localStarter('llama-cpp-server', 'LLAMA_CPP_SERVER_URL', defaultUrl),
  wrap: (provider, { root, fetchJson: ask, ping: reach }) => ({
    ...provider,
    checkHealth: (call) => reach({ url: `${withoutV1(root)}/health` }, call),
    invoke: {
      ...provider.invoke,
      async rerank(request, call) {
        const reply = await ask({ url: `${root}/rerank`, method: 'POST', body: toDocumentsRequest(request) }, call)
        return fromRanking(reply, request.body.max_num_results, request.body.items.length)
      },
    },
  }),
})
