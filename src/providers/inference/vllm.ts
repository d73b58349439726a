import { z } from 'zod'
import { defaultMaxTokens } from './additions.ts'
import { withoutV1, withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { toDocumentsRequest, fromRanking } from './rerank.ts'

const defaultUrl = 'http://localhost:8000/v1'

export const vllm = defineRemoteInference({
  type: 'remote::vllm',
  description: 'A vLLM server; reranks too.',
  urlRequired: "the server's URL, for example from VLLM_URL.",
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'vllm_api_token', variable: 'VLLM_API_TOKEN', required: false },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { local: true },
  fields: {
    max_tokens: z
      .int()
      .nonnegative()
      .nullish()
      .describe(
        'max_tokens of a chat request that sets no limit. Default 4096; 0 leaves the limit to vLLM. Left out where vLLM refuses it as too large.',
      ),
  },
  starter: {
    id: 'vllm',
    enabledBy: ['VLLM_URL'],
    config: {
      base_url: `\${env.VLLM_URL:=${defaultUrl}}`,
      max_tokens: '${env.VLLM_MAX_TOKENS:=4096}',
      api_token: '${env.VLLM_API_TOKEN:=fake}',
      network: { tls: { verify: '${env.VLLM_TLS_VERIFY:=true}' } },
    },
    probe: defaultUrl,
  },
  overrides: ({ config }) => ({
    additions: config.max_tokens === 0 ? [] : [defaultMaxTokens(config.max_tokens ?? 4096)],
  }),
  wrap: (provider, { root, fetchJson: ask, ping: reach }) => ({
    ...provider,
    checkHealth: (call) => reach({ url: `${withoutV1(root)}/health` }, call),
    invoke: {
      ...provider.invoke,
      async rerank(request, call) {
        const reply = await ask({ url: `${withoutV1(root)}/rerank`, method: 'POST', body: toDocumentsRequest(request) }, call)
        return fromRanking(reply, request.body.max_num_results, request.body.items.length)
      },
    },
  }),
})
