import { z } from 'zod'
import type { ProviderModel } from '../provider.ts'
import { withoutV1, withPath } from './openai-compatible-config.ts'
import { parseReply } from './parse-reply.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { fromRanking, textsOf } from './rerank.ts'

const defaultUrl = 'http://localhost:8080/v1'

const info = z.looseObject({
  model_id: z.string().min(1),
  model_type: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  max_input_length: z.number().nullish(),
})

/** `GET /info`: the one model of the server. A classifier or a model of an unknown kind serves no route of Corral's. */
export function parseInfo(document: unknown): ProviderModel[] {
  const { model_id: id, model_type: kind, max_input_length: length } = parseReply(info, document, 'a description of its model')
  const kinds = typeof kind === 'string' ? [kind] : Object.keys(kind ?? {})
  const type = kinds.includes('embedding') ? 'embedding' : kinds.includes('reranker') ? 'rerank' : undefined
  return type ? [{ id, type, metadata: length ? { context_length: length } : {} }] : []
}

export const textEmbeddingsInference = defineRemoteInference({
  type: 'remote::text-embeddings-inference',
  description: "Hugging Face's Text Embeddings Inference (TEI); embeds or reranks.",
  baseUrl: defaultUrl,
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'text_embeddings_inference_api_key', required: false },
  capabilities: ['embeddings'],
  pricing: { local: true },
  // Its default port is llama.cpp's as well, so that it is not probed.
  starter: { id: 'text-embeddings-inference', enabledBy: ['TEI_URL'], config: { base_url: `\${env.TEI_URL:=${defaultUrl}}` } },
  wrap(provider, { root, fetchJson: ask, ping: reach }) {
    const server = withoutV1(root)
    return {
      ...provider,
      listModels: async (call) => parseInfo(await ask({ url: `${server}/info` }, call)),
      checkHealth: (call) => reach({ url: `${server}/health` }, call),
      invoke: {
        ...provider.invoke,
        async rerank({ body }, call) {
          const { query, items } = textsOf(body)
          // It has no limit of its own: it returns every text.
          const reply = await ask({ url: `${server}/rerank`, method: 'POST', body: { query, texts: items } }, call)
          return fromRanking(reply, body.max_num_results, items.length)
        },
      },
    }
  },
})
