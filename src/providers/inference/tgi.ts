import { withoutV1, withV1 } from './openai-compatible-config.ts'
import { defineRemoteInference } from './remote-inference.ts'

export const tgi = defineRemoteInference({
  type: 'remote::tgi',
  description: "Hugging Face's Text Generation Inference.",
  urlRequired: "the server's URL, for example from TGI_URL.",
  completeUrl: withV1,
  key: { header: 'hf_api_token', variable: 'HF_API_TOKEN', required: false },
  capabilities: ['chat', 'completions'],
  pricing: { local: true },
  starter: { id: 'tgi', enabledBy: ['TGI_URL'], config: { base_url: '${env.TGI_URL:=}' } },
  // Versions differ in whether [DONE] is sent.
  overrides: () => ({ terminal: 'finish_reason' }),
  wrap: (provider, { root, ping: reach }) => ({
    ...provider,
    checkHealth: (call) => reach({ url: `${withoutV1(root)}/health` }, call),
  }),
})
