import { defineRemoteInference } from './remote-inference.ts'

export const runpod = defineRemoteInference({
  type: 'remote::runpod',
  description: 'RunPod: a vLLM endpoint of your own.',
  urlRequired: "the endpoint's URL, for example from RUNPOD_URL.",
  key: { header: 'runpod_api_token', variable: 'RUNPOD_API_TOKEN' },
  capabilities: ['chat', 'completions', 'embeddings'],
  starter: {
    id: 'runpod',
    enabledBy: ['RUNPOD_URL'],
    config: { base_url: '${env.RUNPOD_URL:=}', api_token: '${env.RUNPOD_API_TOKEN:=}' },
  },
})
