import { z } from 'zod'
import type { Call } from '../../call.ts'
import { unavailable } from '../../errors.ts'
import { httpUrl } from '../config-values.ts'
import { mapInvoke, type InferenceProvider } from '../provider.ts'
import { withV1 } from './openai-compatible-config.ts'
import { openaiCompatible } from './openai-compatible.ts'
import { defineRemoteInference } from './remote-inference.ts'
import { parseReply } from './parse-reply.ts'

const managementUrl = 'https://api.endpoints.huggingface.cloud/v2'
const capabilities = ['chat', 'completions'] as const
const hubUrl = 'https://huggingface.co'

const endpointSchema = z.looseObject({
  model: z.looseObject({ repository: z.string() }),
  status: z.looseObject({ state: z.string().optional(), url: z.string().nullish() }),
})
const accountSchema = z.looseObject({ name: z.string() })

/** Asked again after this many milliseconds, for an endpoint may be recreated. */
const cacheTime = 300_000

/** The configuration names an endpoint; its URL is requested from Hugging Face on first use. */
export const hfEndpoint = defineRemoteInference({
  type: 'remote::hf::endpoint',
  description: 'A Hugging Face Inference Endpoint, by its name.',
  baseUrl: managementUrl,
  key: { header: 'hf_api_token', variable: 'HF_API_TOKEN' },
  capabilities,
  fields: {
    endpoint_name: z.string().describe('`namespace/name`, or a name in your own namespace.'),
    hub_url: httpUrl().nullish().describe(`The hub that names the account of the key. Default ${hubUrl}.`),
  },
  starter: {
    id: 'hf-endpoint',
    enabledBy: ['INFERENCE_ENDPOINT_NAME'],
    config: { endpoint_name: '${env.INFERENCE_ENDPOINT_NAME}', api_token: '${env.HF_API_TOKEN:=}' },
  },
  wrap(provider, { config, root, network, headers, deps, fetchJson: ask, authorize, configured }) {
    let found: { endpoint: InferenceProvider; model: string; at: number } | undefined

    const resolveEndpoint = async (call: Call): Promise<NonNullable<typeof found>> => {
      if (found && Date.now() - found.at < cacheTime) return found
      const name = config.endpoint_name.includes('/')
        ? config.endpoint_name
        : `${parseReply(accountSchema, await ask({ url: `${config.hub_url ?? hubUrl}/api/whoami-v2` }, call), 'an account').name}/${config.endpoint_name}`
      const { model, status } = parseReply(endpointSchema, await ask({ url: `${root}/endpoint/${name}` }, call), 'an endpoint')
      if (!status.url) throw unavailable(`The Hugging Face endpoint '${name}' is ${status.state ?? 'not running'}.`, 30)
      const endpoint = openaiCompatible(
        {
          baseUrl: withV1(status.url),
          authorize,
          hasOwnKey: provider.hasOwnKey,
          capabilities,
          terminal: 'finish_reason',
          network,
          headers,
          ...configured,
        },
        deps,
      )
      found = { endpoint, model: model.repository, at: Date.now() }
      return found
    }

    return {
      ...provider,
      invoke: mapInvoke(provider.invoke, (_, operation) => async (request, call) => {
        const { endpoint } = await resolveEndpoint(call)
        return endpoint.invoke[operation]!(request, call)
      }),
      listModels: async (call) => [{ id: (await resolveEndpoint(call)).model, type: 'llm', metadata: {} }],
      async checkHealth(call) {
        await resolveEndpoint(call)
      },
    }
  },
})
