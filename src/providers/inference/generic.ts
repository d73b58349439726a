import { z } from 'zod'
import { defineRemoteInference } from './remote-inference.ts'

/** Any server that speaks OpenAI's format and has no definition of its own. Its URL is taken as it is. */
export const openaiCompatibleServer = defineRemoteInference({
  type: 'remote::openai-compatible',
  description: 'Any other server that speaks the OpenAI format, at the URL you name.',
  urlRequired: 'the root that /chat/completions is appended to.',
  key: { header: 'openai_compatible_api_key', required: false },
  capabilities: ['chat', 'completions', 'embeddings'],
  fields: {
    stream_terminal: z
      .enum(['done', 'finish_reason'])
      .nullish()
      .describe('What proves a stream whole: [DONE] (default), or a finish reason where the server sends no [DONE].'),
  },
  overrides: ({ config }) => ({ terminal: config.stream_terminal ?? 'done' }),
})
