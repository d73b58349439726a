import { z } from 'zod'
import { invalidRequest } from '../../errors.ts'
import type { ProviderModel } from '../provider.ts'
import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'
import { parseReply } from './parse-reply.ts'

const baseUrl = 'https://api.together.xyz/v1'

const embeddings = knownEmbeddings({
  'togethercomputer/m2-bert-80M-32k-retrieval': [768, 32_768],
  'BAAI/bge-large-en-v1.5': [1024, 512],
  'BAAI/bge-base-en-v1.5': [768, 512],
  'Alibaba-NLP/gte-modernbert-base': [768, 8192],
  'intfloat/multilingual-e5-large-instruct': [1024, 512],
})

const entry = z.looseObject({
  id: z.string(),
  type: z.string().nullish(),
  created: z.number().nullish(),
  organization: z.string().nullish(),
  context_length: z.number().nullish(),
})
const listing = z.union([z.array(entry), z.looseObject({ data: z.array(entry) }).transform(({ data }) => data)])

const types: Readonly<Record<string, ProviderModel['type']>> = { embedding: 'embedding', rerank: 'rerank' }

/** Together's listing: a bare array whose entries have a type. Images, audio and moderation are not served here. */
export function parseListing(reply: unknown): ProviderModel[] {
  return parseReply(listing, reply, 'a list of models')
    .filter(({ type }) => !type || ['chat', 'language', 'code', 'embedding', 'rerank'].includes(type))
    .map(({ id, type, created, organization, context_length }) => {
      const known = embeddings(id)
      return {
        id,
        type: known?.type ?? types[type ?? ''] ?? 'llm',
        ...(!known && !type && { typeIsGuess: true }),
        metadata: known?.metadata ?? (context_length ? { context_length } : {}),
        ...(created && { created }),
        ...(organization && { owned_by: organization }),
      }
    })
}

export const together = defineRemoteInference({
  type: 'remote::together',
  description: 'Together AI.',
  baseUrl,
  key: { header: 'together_api_key', variable: 'TOGETHER_API_KEY' },
  capabilities: ['chat', 'completions', 'embeddings'],
  pricing: { catalogue: 'together' },
  starter: hostedStarter('together', 'TOGETHER_API_KEY', { variable: 'TOGETHER_BASE_URL', default: baseUrl }),
  overrides: () => ({
    parseModels: parseListing,
    editRequest({ body }, operation) {
      const unsupportedField =
        operation === 'embeddings' ? ['user', 'dimensions'].find((field) => (body[field] ?? undefined) !== undefined) : undefined
      if (unsupportedField) throw invalidRequest(`Together's embeddings do not support '${unsupportedField}'.`, { param: unsupportedField })
      return undefined
    },
  }),
})
