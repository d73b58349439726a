import { z } from 'zod'
import type { ProviderModel } from '../provider.ts'
import { hasReadableField } from './caller-credentials.ts'
import { forwardedHeaders, forwardHeaders } from './forwarded-headers.ts'
import { withV1 } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { parseReply } from './parse-reply.ts'

const type = z.enum(['llm', 'embedding', 'rerank']).catch('llm')
const metadata = z.record(z.string(), z.unknown()).nullish()
const entry = z.looseObject({
  id: z.string().optional(),
  identifier: z.string().optional(),
  created: z.number().nullish(),
  owned_by: z.string().nullish(),
  model_type: z.string().nullish(),
  metadata,
  custom_metadata: metadata,
})
const listing = z.looseObject({ data: z.array(entry) })

/** The listing of another Corral, Llama Stack or OGX, old or new, or of anything that lists as OpenAI does. */
export function parseListing(reply: unknown): ProviderModel[] {
  return parseReply(listing, reply, 'a list of models').data.flatMap((model) => {
    const id = model.identifier ?? model.id
    if (!id) return []
    const { model_type: kind, provider_id: _, provider_resource_id: __, ...custom } = model.custom_metadata ?? {}
    const reported = model.model_type ?? kind
    return {
      id,
      type: type.parse(reported),
      ...((reported === null || reported === undefined) && { typeIsGuess: true }),
      metadata: { ...custom, ...model.metadata },
      ...(model.created && { created: model.created }),
      ...(model.owned_by && { owned_by: model.owned_by }),
    }
  })
}

export const passthrough = defineRemoteInference({
  type: 'remote::passthrough',
  description: 'Another Corral, Llama Stack or OpenAI-compatible server, with headers forwarded if wanted.',
  completeUrl: withV1,
  key: { header: 'passthrough_api_key', variable: 'PASSTHROUGH_API_KEY', required: false },
  capabilities: ['chat', 'completions', 'embeddings'],
  fields: {
    forward_headers: forwardHeaders.nullish().describe('Field of the provider data → header to send it as. Nothing else is forwarded.'),
  },
  callerUrl: { field: 'passthrough_url', complete: withV1, rejectedWithRoot: true },
  callerHeaders: (call, config) => forwardedHeaders(call, config.forward_headers),
  starter: {
    id: 'passthrough',
    enabledBy: ['PASSTHROUGH_URL'],
    config: { base_url: '${env.PASSTHROUGH_URL:=}', api_key: '${env.PASSTHROUGH_API_KEY:=}' },
  },
  overrides: ({ config }) => ({
    parseModels: parseListing,
    // Llama Stack ends its streams without [DONE].
    terminal: 'finish_reason',
    acceptsKeyOf: (call) =>
      hasReadableField(call, 'passthrough_api_key') || Object.keys(forwardedHeaders(call, config.forward_headers)).length > 0,
  }),
})
