import { z } from 'zod'
import { flag, httpUrl } from '../config-values.ts'
import type { ProviderModel } from '../provider.ts'
import { withoutEndSlashes, withPath } from './openai-compatible-config.ts'
import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'
import { fromRanking, textsOf } from './rerank.ts'

const host = 'https://integrate.api.nvidia.com'
const baseUrl = `${host}/v1`

/** Hosted rerankers have a URL each. */
const hostedRerankers: Readonly<Record<string, string>> = {
  'nv-rerank-qa-mistral-4b:1': 'https://ai.api.nvidia.com/v1/retrieval/nvidia/reranking',
  'nvidia/nv-rerankqa-mistral-4b-v3': 'https://ai.api.nvidia.com/v1/retrieval/nvidia/nv-rerankqa-mistral-4b-v3/reranking',
  'nvidia/llama-3.2-nv-rerankqa-1b-v2': 'https://ai.api.nvidia.com/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking',
}

const embeddings = knownEmbeddings({
  'nvidia/llama-3.2-nv-embedqa-1b-v2': [2048, 8192],
  'nvidia/nv-embedqa-e5-v5': [512, 1024],
  'nvidia/nv-embedqa-mistral-7b-v2': [512, 4096],
  'snowflake/arctic-embed-l': [512, 1024],
})

const isHosted = (root: string): boolean => root.startsWith(host)

export const nvidia = defineRemoteInference({
  type: 'remote::nvidia',
  description: 'NVIDIA NIM, hosted or your own; reranks too.',
  baseUrl,
  completeUrl: (url, config) => (config.append_api_version === false ? withoutEndSlashes(url) : withPath(url, '/v1')),
  key: { header: 'nvidia_api_key', variable: 'NVIDIA_API_KEY', required: isHosted },
  capabilities: ['chat', 'completions', 'embeddings'],
  fields: {
    append_api_version: flag().nullish().describe('Whether a URL without a path gets /v1. Default true.'),
    rerank_model_to_url: z
      .record(z.string(), httpUrl())
      .nullish()
      .describe('The URL of each reranker. Default: the hosted ones; a NIM of your own is asked at /ranking.'),
  },
  starter: {
    id: 'nvidia',
    enabledBy: ['NVIDIA_API_KEY', 'NVIDIA_BASE_URL'],
    config: { base_url: `\${env.NVIDIA_BASE_URL:=${baseUrl}}`, api_key: '${env.NVIDIA_API_KEY:=}' },
  },
  overrides: () => ({ typeOf: embeddings }),
  wrap(provider, { config, root, fetchJson: ask }) {
    const rerankers = config.rerank_model_to_url ?? (isHosted(root) ? hostedRerankers : {})
    const listed: ProviderModel[] = Object.keys(rerankers).map((id) => ({ id, type: 'rerank', metadata: {} }))
    return {
      ...provider,
      async listModels(call) {
        const others = (await provider.listModels?.(call)) ?? []
        return [...others.filter(({ id }) => !Object.hasOwn(rerankers, id)), ...listed]
      },
      invoke: {
        ...provider.invoke,
        async rerank({ model, body }, call) {
          const { query, items } = textsOf(body)
          const url = Object.hasOwn(rerankers, model) ? rerankers[model] : undefined
          const question = { model, query: { text: query }, passages: items.map((text) => ({ text })) }
          const reply = await ask({ url: url ?? `${root}/ranking`, method: 'POST', body: question }, call)
          return fromRanking(reply, body.max_num_results, items.length)
        },
      },
    }
  },
})
