import { z } from 'zod'
import type { Call } from '../../call.ts'
import { invalidRequest } from '../../errors.ts'
import { httpUrl, text } from '../config-values.ts'
import type { ProviderModel } from '../provider.ts'
import { fieldOf } from './caller-credentials.ts'
import { IamTokens } from './iam-tokens.ts'
import { withoutEndSlashes } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { parseReply } from './parse-reply.ts'

const version = '2023-10-25'
const iamUrl = 'https://iam.cloud.ibm.com/identity/token'

const limits = z.looseObject({ embedding_dimension: z.number().optional(), max_sequence_length: z.number().optional() }).nullish()
const spec = z.looseObject({ model_id: z.string(), functions: z.array(z.looseObject({ id: z.string() })).nullish(), model_limits: limits })
const listing = z.looseObject({ resources: z.array(spec) })

/** watsonx's foundation models: its functions list the capabilities. */
export function parseListing(reply: unknown): ProviderModel[] {
  return parseReply(listing, reply, 'a list of models').resources.map(({ model_id, functions, model_limits }) => {
    const can = new Set(functions?.map(({ id }) => id))
    const { embedding_dimension, max_sequence_length } = model_limits ?? {}
    return {
      id: model_id,
      type: can.has('embedding') ? 'embedding' : can.has('rerank') ? 'rerank' : 'llm',
      metadata: {
        ...(embedding_dimension && { embedding_dimension }),
        ...(max_sequence_length && { context_length: max_sequence_length }),
      },
    }
  })
}

interface Scope {
  project_id?: unknown
  space_id?: unknown
}

/** What a request counts for, one of the two: the caller's, the configured one, or what the request's body names itself. Throws ApiError 400. */
function scopeOf(call: Call, config: Scope, body: Scope): Scope {
  const callers = { project_id: fieldOf(call, 'watsonx_project_id'), space_id: fieldOf(call, 'watsonx_space_id') }
  const scope = [callers, config, body].find(({ project_id, space_id }) => project_id || space_id)
  if (!scope) {
    throw invalidRequest(
      'watsonx needs a project or a space. Set project_id or space_id in the configuration of the provider, or pass watsonx_project_id or ' +
        'watsonx_space_id in the provider data header (x-ogx-provider-data or x-llamastack-provider-data).',
      { code: 'missing_watsonx_project' },
    )
  }
  return scope.project_id ? { project_id: scope.project_id, space_id: undefined } : { project_id: undefined, space_id: scope.space_id }
}

export const watsonx = defineRemoteInference({
  type: 'remote::watsonx',
  description: 'IBM watsonx.ai.',
  baseUrl: 'https://us-south.ml.cloud.ibm.com/ml/v1',
  completeUrl(url) {
    const root = withoutEndSlashes(url)
    return /\/ml(\/|$)/.test(new URL(root).pathname) ? root : `${root}/ml/v1`
  },
  key: { header: 'watsonx_api_key', variable: 'WATSONX_API_KEY' },
  genAiName: 'ibm.watsonx.ai',
  capabilities: ['chat', 'embeddings'],
  fields: {
    project_id: text()
      .nullish()
      .describe("The project that requests count for; a caller's, sent in the provider-data header, goes before it."),
    space_id: text()
      .nullish()
      .describe('The deployment space that requests count for, where there is no project_id. One of the two is required.'),
    iam_url: httpUrl().nullish().describe(`Where a key is exchanged for a token. Default ${iamUrl}.`),
  },
  callerFields: ['watsonx_project_id', 'watsonx_space_id'],
  starter: {
    id: 'watsonx',
    enabledBy: ['WATSONX_API_KEY', 'WATSONX_BASE_URL'],
    config: {
      base_url: '${env.WATSONX_BASE_URL:=https://us-south.ml.cloud.ibm.com}',
      api_key: '${env.WATSONX_API_KEY:=}',
      project_id: '${env.WATSONX_PROJECT_ID:=}',
    },
  },
  overrides({ config, deps, network, keyFor }) {
    const tokens = new IamTokens({ url: config.iam_url ?? iamUrl, network, deps })
    return {
      authorize: async (call) => ({ authorization: `Bearer ${await tokens.for(keyFor(call) ?? '', call)}` }),
      query: { version },
      streamUsage: false,
      terminal: 'finish_reason',
      editRequest: ({ body }, _, call) => ({ ...scopeOf(call, config, body), parallel_tool_calls: undefined }),
    }
  },
  wrap(provider, { root, fetchJson: ask }) {
    // The specifications are public (a key that was not exchanged for a token would be refused), and tell what each model can do.
    const url = `${root}/foundation_model_specs?version=${version}&limit=200`
    const list = async (call: Call): Promise<ProviderModel[]> => parseListing(await ask({ url, anonymous: true }, call))
    return {
      ...provider,
      listModels: list,
      async checkHealth(call) {
        await list(call)
      },
    }
  },
})
