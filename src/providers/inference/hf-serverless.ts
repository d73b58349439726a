import { z } from 'zod'
import { withPath } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'

const baseUrl = 'https://router.huggingface.co/v1'

export const hfServerless = defineRemoteInference({
  type: 'remote::hf::serverless',
  description: "Hugging Face's Inference Providers.",
  baseUrl,
  completeUrl: (url) => withPath(url, '/v1'),
  key: { header: 'hf_api_token', variable: 'HF_API_TOKEN' },
  capabilities: ['chat'],
  fields: {
    huggingface_repo: z
      .string()
      .nullish()
      .describe('The one model to offer, e.g. meta-llama/Llama-3.3-70B-Instruct. Absent: all that are listed.'),
  },
  starter: {
    id: 'hf-serverless',
    enabledBy: ['HF_API_TOKEN'],
    config: { huggingface_repo: '${env.INFERENCE_MODEL:=}', api_token: '${env.HF_API_TOKEN:=}' },
  },
  overrides: ({ config }) =>
    config.huggingface_repo ? { parseModels: false, staticModels: [{ id: config.huggingface_repo, type: 'llm', metadata: {} }] } : {},
})
