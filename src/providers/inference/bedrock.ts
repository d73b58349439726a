import { z } from 'zod'
import type { Call } from '../../call.ts'
import { ApiError, invalidRequest } from '../../errors.ts'
import { secret, text } from '../config-values.ts'
import type { ProviderModel } from '../provider.ts'
import { hasReadableField } from './caller-credentials.ts'
import { parseReply } from './parse-reply.ts'
import { defineRemoteInference } from './remote-inference.ts'

const keyFields = ['aws_bearer_token_bedrock', 'aws_bedrock_bearer_token']

const signingUnsupported =
  'Request signing with AWS credentials (SigV4) is not supported yet. Use a Bedrock API key, from AWS_BEARER_TOKEN_BEDROCK or the provider data header.'

const summaries = z.looseObject({
  modelSummaries: z.array(
    z.looseObject({
      modelId: z.string(),
      providerName: z.string().nullish(),
      outputModalities: z.array(z.string()).nullish(),
      inferenceTypesSupported: z.array(z.string()).nullish(),
    }),
  ),
})

const profileSummaries = z.looseObject({
  inferenceProfileSummaries: z.array(
    z.looseObject({
      inferenceProfileId: z.string(),
      status: z.string().nullish(),
      models: z.array(z.looseObject({ modelArn: z.string().nullish() })).nullish(),
    }),
  ),
})

/**
 * The AWS API's `ListFoundationModels` and `ListInferenceProfiles`: the models that write text, by their own id where they are served on
 * demand, and by the ids of the inference profiles through which the others are reached. `profiles` undefined: the key may not list them.
 */
export function parseBedrockModels(models: unknown, profiles: unknown): ProviderModel[] {
  const written = parseReply(summaries, models, 'a list of models').modelSummaries.filter(({ outputModalities }) =>
    outputModalities?.includes('TEXT'),
  )
  const owners = new Map(written.map(({ modelId, providerName }) => [modelId, providerName ?? undefined]))
  const own = written
    .filter(({ inferenceTypesSupported: types }) => types?.includes('ON_DEMAND') !== false)
    .map(({ modelId }) => toListed(modelId, owners.get(modelId)))
  if (profiles === undefined) return own
  const { inferenceProfileSummaries } = parseReply(profileSummaries, profiles, 'a list of inference profiles')
  return [
    ...own,
    ...inferenceProfileSummaries.flatMap(({ inferenceProfileId: id, status, models: targets }) => {
      const model = targets?.[0]?.modelArn?.split('/').at(-1) ?? ''
      return (status ?? 'ACTIVE') === 'ACTIVE' && owners.has(model) ? [toListed(id, owners.get(model))] : []
    }),
  ]
}

function toListed(id: string, owner: string | undefined): ProviderModel {
  return { id, type: 'llm', metadata: {}, ...(owner && { owned_by: owner }) }
}

const runtimeHost = /^bedrock-runtime(-fips)?\.([a-z0-9-]+)\.(amazonaws\.com(?:\.cn)?)$/

/** The root of the AWS API that lists what `bedrock-runtime` serves, which has no listing of its own. Undefined at hosts that list as OpenAI does. */
export function controlPlaneOf(root: string): string | undefined {
  const [, fips = '', region, domain] = runtimeHost.exec(new URL(root).host) ?? []
  return region && `https://bedrock${fips}.${region}.${domain}`
}

/** The result of a request; undefined where the provider refuses it with one of `statuses`. */
async function unless(statuses: readonly number[], request: Promise<unknown> | undefined): Promise<unknown> {
  try {
    return await request
  } catch (error) {
    if (error instanceof ApiError && error.provider && statuses.includes(error.status)) return undefined
    throw error
  }
}

export const bedrock = defineRemoteInference({
  type: 'remote::bedrock',
  description:
    'Amazon Bedrock, over its OpenAI-compatible endpoint, with a Bedrock API key; models are listed by the AWS API of the region.',
  baseUrl: (config) => `https://bedrock-runtime.${config.region_name ?? 'us-east-2'}.amazonaws.com/openai/v1`,
  key: { header: 'aws_bearer_token_bedrock', alternatives: keyFields.slice(1), variable: 'AWS_BEARER_TOKEN_BEDROCK' },
  configuredKey: (config) => config.aws_bedrock_bearer_token,
  genAiName: 'aws.bedrock',
  capabilities: ['chat'],
  pricing: { catalogue: 'aws' },
  fields: {
    region_name: z
      .string()
      .regex(/^[a-z0-9-]+$/, 'must be an AWS region, such as us-east-2')
      .nullish()
      .describe('Default us-east-2.'),
    aws_bedrock_bearer_token: secret().nullish().describe("OGX's alias of api_key."),
    aws_access_key_id: text().nullish(),
    aws_secret_access_key: secret().nullish(),
    aws_session_token: secret().nullish(),
    aws_role_arn: text().nullish(),
    aws_web_identity_token_file: text().nullish(),
    aws_role_session_name: text().nullish(),
    profile_name: text().nullish(),
    total_max_attempts: z.number().nullish(),
    retry_mode: text().nullish(),
    connect_timeout: z.number().nullish(),
    read_timeout: z.number().nullish(),
    session_ttl: z.number().nullish(),
  },
  starter: {
    id: 'bedrock',
    enabledBy: ['AWS_BEARER_TOKEN_BEDROCK'],
    config: { api_key: '${env.AWS_BEARER_TOKEN_BEDROCK:=}', region_name: '${env.AWS_DEFAULT_REGION:=us-east-2}' },
  },
  overrides({ config, deps, authorize }) {
    const { aws_access_key_id, aws_secret_access_key, aws_role_arn, aws_web_identity_token_file, profile_name } = config
    const wantsSigning = Boolean(aws_access_key_id ?? aws_secret_access_key ?? aws_role_arn ?? aws_web_identity_token_file ?? profile_name)
    const signsOnly = wantsSigning && !(config.api_key ?? config.api_token ?? config.aws_bedrock_bearer_token)
    if (signsOnly) deps.log.warn({ provider: deps.id }, signingUnsupported)
    return {
      authorize(call) {
        if (signsOnly && !keyFields.some((field) => hasReadableField(call, field)))
          throw invalidRequest(signingUnsupported, { code: 'not_supported_yet' })
        return authorize(call)
      },
    }
  },
  wrap(provider, { root, fetchJson: ask }) {
    const api = controlPlaneOf(root)
    const list = async (call: Call): Promise<ProviderModel[]> => {
      // A private endpoint of `bedrock-runtime` lists nothing; its models are used by their ids all the same.
      if (api === undefined) return ((await unless([404], provider.listModels?.(call))) as ProviderModel[] | undefined) ?? []
      const profiles = unless([403], ask({ url: `${api}/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED` }, call))
      const [models, inferenceProfiles] = await Promise.all([ask({ url: `${api}/foundation-models` }, call), profiles])
      return parseBedrockModels(models, inferenceProfiles)
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
