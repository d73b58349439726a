import { z } from 'zod'
import type { Call } from '../../call.ts'
import type { ProviderModel } from '../provider.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { hostedStarter } from './starter.ts'
import { parseReply } from './parse-reply.ts'

const baseUrl = 'https://api.anthropic.com/v1'

const page = z.looseObject({
  data: z.array(z.looseObject({ id: z.string(), created_at: z.string().nullish(), display_name: z.string().nullish() })),
})

/** Anthropic's own listing, which is not OpenAI's. */
export function parseListing(reply: unknown): ProviderModel[] {
  return parseReply(page, reply, 'a list of models').data.map(({ id, created_at, display_name }) => {
    const created = created_at ? Math.floor(Date.parse(created_at) / 1000) : Number.NaN
    return {
      id,
      type: 'llm',
      metadata: display_name ? { display_name } : {},
      owned_by: 'anthropic',
      ...(Number.isFinite(created) && { created }),
    }
  })
}

export const anthropic = defineRemoteInference({
  type: 'remote::anthropic',
  description: 'Anthropic, over its OpenAI-compatible endpoint.',
  baseUrl,
  key: { header: 'anthropic_api_key', variable: 'ANTHROPIC_API_KEY' },
  capabilities: ['chat'],
  pricing: { catalogue: 'anthropic' },
  starter: hostedStarter('anthropic', 'ANTHROPIC_API_KEY', { variable: 'ANTHROPIC_BASE_URL', default: baseUrl }),
  wrap(provider, { root, keyFor, fetchJson: ask }) {
    const list = async (call: Call): Promise<ProviderModel[]> => {
      // The listing belongs to Anthropic's own API, which takes the key in a header of its own.
      const headers = { 'x-api-key': keyFor(call) ?? '', 'anthropic-version': '2023-06-01' }
      return parseListing(await ask({ url: `${root}/models?limit=1000`, headers }, call))
    }
    return {
      ...provider,
      listModels: list,
      async checkHealth(call) {
        await list(call)
      },
    }
  },
})
