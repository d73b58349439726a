import { z } from 'zod'
import { invalidRequest } from '../../errors.ts'
import { secret, text } from '../config-values.ts'
import { fieldOf } from './caller-credentials.ts'
import { defineRemoteInference } from './remote-inference.ts'

const later =
  'Signing requests with AWS credentials (SigV4) is not served yet: use a Bedrock API key, from AWS_BEARER_TOKEN_BEDROCK or the caller.'

export const bedrock = defineRemoteInference({
  type: 'remote::bedrock',
  description: 'Amazon Bedrock, over its OpenAI-compatible endpoint, with a Bedrock API key.',
  baseUrl: (config) => `https://bedrock-runtime.${config.region_name ?? 'us-east-2'}.amazonaws.com/openai/v1`,
  key: { header: 'aws_bearer_token_bedrock', variable: 'AWS_BEARER_TOKEN_BEDROCK' },
  capabilities: ['chat'],
  pricing: { catalogue: 'aws' },
  fields: {
    region_name: z
      .string()
      .regex(/^[a-z0-9-]+$/, 'must be an AWS region, such as us-east-2')
      .nullish()
      .describe('Default us-east-2.'),
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
    const signsOnly = wantsSigning && !(config.api_key ?? config.api_token)
    if (signsOnly) deps.log.warn({ provider: deps.id }, later)
    return {
      parseModels: false,
      authorize(call) {
        if (signsOnly && fieldOf(call, 'aws_bearer_token_bedrock') === undefined) throw invalidRequest(later, { code: 'not_served_yet' })
        return authorize(call)
      },
    }
  },
})
