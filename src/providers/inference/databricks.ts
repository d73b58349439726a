import { z } from 'zod'
import type { Call } from '../../call.ts'
import type { ProviderModel } from '../provider.ts'
import { withPath } from './openai-compatible-config.ts'
import { defineRemoteInference, knownEmbeddings } from './remote-inference.ts'
import { parseReply } from './parse-reply.ts'

const embeddings = knownEmbeddings({ 'databricks-gte-large-en': [1024, 8192], 'databricks-bge-large-en': [1024, 512] })

const listing = z.looseObject({
  endpoints: z.array(z.looseObject({ name: z.string(), task: z.string().nullish(), creator: z.string().nullish() })).default([]),
})

/** A workspace's serving endpoints as models; those that serve no language model are left out. */
export function parseListing(reply: unknown): ProviderModel[] {
  return parseReply(listing, reply, 'a list of serving endpoints')
    .endpoints.filter(({ task }) => !task || task.startsWith('llm/') || task.startsWith('agent/'))
    .map(({ name, task }) => {
      const known = embeddings(name)
      if (known) return { id: name, type: known.type, metadata: known.metadata ?? {} }
      if (task === 'llm/v1/embeddings') return { id: name, type: 'embedding', metadata: {} }
      return { id: name, type: 'llm', ...(!task && { typeIsGuess: true }), metadata: {} }
    })
}

export const databricks = defineRemoteInference({
  type: 'remote::databricks',
  description: "Databricks: a workspace's serving endpoints.",
  urlRequired: "the workspace's URL, for example from DATABRICKS_HOST.",
  completeUrl: (url) => withPath(url, '/serving-endpoints'),
  key: { header: 'databricks_api_token', variable: 'DATABRICKS_TOKEN' },
  capabilities: ['chat', 'embeddings'],
  starter: {
    id: 'databricks',
    enabledBy: ['DATABRICKS_HOST'],
    config: { base_url: '${env.DATABRICKS_HOST:=}', api_token: '${env.DATABRICKS_TOKEN:=}' },
  },
  wrap(provider, { root, fetchJson: ask }) {
    const workspace = root.replace(/\/serving-endpoints$/, '')
    const list = async (call: Call): Promise<ProviderModel[]> =>
      parseListing(await ask({ url: `${workspace}/api/2.0/serving-endpoints` }, call))
    return {
      ...provider,
      listModels: list,
      async checkHealth(call) {
        await list(call)
      },
    }
  },
})
