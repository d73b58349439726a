import { z } from 'zod'
import type { Call } from '../../call.ts'
import { ApiError, invalidRequest } from '../../errors.ts'
import { secret, text } from '../config-values.ts'
import type { ListedModel } from '../provider.ts'
import { bringsField } from './caller-credentials.ts'
import { readAnswer } from './read-answer.ts'
import { defineRemoteInference } from './remote-inference.ts'

const keyFields = ['aws_bearer_token_bedrock', 'aws_bedrock_bearer_token']

const later =
  'Signing requests with AWS credentials (SigV4) is not served yet: use a Bedrock API key, from AWS_BEARER_TOKEN_BEDROCK or the caller.'

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

/** `ListFoundationModels` of the AWS API: the models that write text and can be requested by their own id. */
export function parseFoundationModels(document: unknown): ListedModel[] {
  return readAnswer(summaries, document, 'a list of models').modelSummaries.flatMap((summary) => {
    const { modelId: id, providerName, outputModalities, inferenceTypesSupported } = summary
    if (!outputModalities?.includes('TEXT') || inferenceTypesSupported?.includes('ON_DEMAND') === false) return []
    return [{ id, type: 'llm' as const, metadata: {}, ...(providerName && { owned_by: providerName }) }]
  })
}

const runtimeHost = /^bedrock-runtime(-fips)?\.([a-z0-9-]+)\.(amazonaws\.com(?:\.cn)?)$/

/** The AWS API that lists what `bedrock-runtime` serves, which has no listing of its own. Undefined at other hosts: they list as OpenAI does. */
export function foundationModelsUrl(root: string): string | undefined {
  const [, fips = '', region, domain] = runtimeHost.exec(new URL(root).host) ?? []
  return region && `https://bedrock${fips}.${region}.${domain}/foundation-models`
}

export const bedrock = defineRemoteInference({
  type: 'remote::bedrock',
  description: 'Amazon Bedrock, over its OpenAI-compatible endpoint, with a Bedrock API key.',
  baseUrl: (config) => `https://bedrock-runtime.${config.region_name ?? 'us-east-2'}.amazonaws.com/openai/v1`,
  key: { header: 'aws_bearer_token_bedrock', alternatives: keyFields.slice(1), variable: 'AWS_BEARER_TOKEN_BEDROCK' },
  namedKey: (config) => config.aws_bedrock_bearer_token,
  capabilities: ['chat'],
  pricing: { catalogue: 'aws' },
  fields: {
    region_name: z
      .string()
      .regex(/^[a-z0-9-]+$/, 'must be an AWS region, such as us-east-2')
      .nullish()
      .describe('Default us-east-2.'),
    aws_bedrock_bearer_token: secret().nullish().describe("OGX's name of api_key."),
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
  differs({ config, deps, authorize }) {
    const { aws_access_key_id, aws_secret_access_key, aws_role_arn, aws_web_identity_token_file, profile_name } = config
    const wantsSigning = Boolean(aws_access_key_id ?? aws_secret_access_key ?? aws_role_arn ?? aws_web_identity_token_file ?? profile_name)
    const signsOnly = wantsSigning && !(config.api_key ?? config.api_token ?? config.aws_bedrock_bearer_token)
    if (signsOnly) deps.log.warn({ provider: deps.id }, later)
    return {
      authorize(call) {
        if (signsOnly && !keyFields.some((field) => bringsField(call, field))) throw invalidRequest(later, { code: 'not_served_yet' })
        return authorize(call)
      },
    }
  },
  extend(provider, { root, ask }) {
    const url = foundationModelsUrl(root)
    const list = async (call: Call): Promise<ListedModel[]> => {
      if (url !== undefined) return parseFoundationModels(await ask({ url }, call))
      try {
        return (await provider.listModels?.(call)) ?? []
      } catch (error) {
        // A private endpoint of `bedrock-runtime` lists nothing; its models are used by their ids all the same.
        if (error instanceof ApiError && error.provider && error.status === 404) return []
        throw error
      }
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
